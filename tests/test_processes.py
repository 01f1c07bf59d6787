"""The service as users run it: real processes that start, follow, drain and die."""

import json
import shutil
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.promoting import admin_key, answering, wait_until
from tests.serving import Server

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what no database has a part in, or what other tests show on PostgreSQL: a start costs seconds of a core."""


def test_an_empty_folder_becomes_a_service_with_a_set_up_link(server: Server) -> None:
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert answering(server) == ("1.0.0", 1)
    token = server.setup_token
    assert token is not None
    page = httpx.get(f"{server.url}/setup", params={"token": token})
    assert page.status_code == 200


def test_a_second_start_changes_nothing(new_server: Callable[..., Server]) -> None:
    first = new_server().start()
    assert first.setup_token is not None
    first.send(signal.SIGTERM)
    assert first.wait() == 0
    before = first.run("model", "list", "--json").stdout
    second = new_server().start()
    assert second.setup_token is None
    assert "python -m app admin setup-link" in second.output
    assert second.run("model", "list", "--json").stdout == before
    assert [each["deployed"] for each in json.loads(before)] == [True, True, False]


def test_after_a_kill_everything_committed_is_there(new_server: Callable[..., Server]) -> None:
    server = new_server().start()
    key = admin_key(server)
    wanted = {"version": "1.1.0", "expected_epoch": 1, "reason": "Before the power cut."}
    assert httpx.post(f"{server.url}/models/tiny-moths/promote", json=wanted, headers=key).status_code == 200
    server.kill()
    server.start()
    assert answering(server) == ("1.1.0", 2)
    history = httpx.get(f"{server.url}/models/tiny-moths/history", headers=key).json()["history"]
    assert history[0]["reason"] == "Before the power cut."


def test_replicas_start_together_and_follow_one_promotion(new_server: Callable[..., Server]) -> None:
    replicas = [new_server(), new_server()]
    with ThreadPoolExecutor() as pool:
        list(pool.map(Server.start, replicas))
    first, second = replicas
    assert sum(replica.setup_token is not None for replica in replicas) == 1
    key = admin_key(first)
    wanted = {"version": "1.1.0", "expected_epoch": 1, "reason": "Both of us."}
    assert httpx.post(f"{first.url}/models/tiny-moths/promote", json=wanted, headers=key).status_code == 200
    assert answering(first) == ("1.1.0", 2)
    wait_until(lambda: answering(second) == ("1.1.0", 2))
    back = second.run("model", "rollback", "tiny-moths", "--reason", "Not after all.")
    assert back.returncode == 0, back.stderr
    wait_until(lambda: answering(first) == answering(second) == ("1.0.0", 3))


@on_sqlite
def test_two_replicas_promote_at_once_and_one_is_told_of_the_other(new_server: Callable[..., Server]) -> None:
    with ThreadPoolExecutor() as pool:
        replicas = list(pool.map(Server.start, [new_server(), new_server()]))
    key = admin_key(replicas[0])
    barrier = threading.Barrier(2)

    def promote(replica: Server) -> httpx.Response:
        barrier.wait()
        body = {"version": "1.1.0", "expected_epoch": 1, "reason": f"From {replica.url}."}
        return httpx.post(f"{replica.url}/models/tiny-moths/promote", json=body, headers=key)

    with ThreadPoolExecutor() as pool:
        answers = sorted(pool.map(promote, replicas), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 409]
    assert answers[1].json()["type"] == "/problems/stale-epoch"
    assert answers[0].json()["reason"] in answers[1].json()["detail"]


@on_sqlite
def test_told_to_stop_it_is_unready_first_and_answers_what_it_has(new_server: Callable[..., Server]) -> None:
    server = new_server(DRAIN_NOTICE_S="3").start()
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as slow:
        slow.sendall(
            b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 27\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=ana&"
        )
        server.send(signal.SIGTERM)
        wait_until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
        assert httpx.get(f"{server.url}/models").status_code == 200
        wait_until(lambda: not accepts(server))
        assert server.process.poll() is None
        slow.sendall(b"password=elephants")
        assert slow.recv(1000).startswith(b"HTTP/1.1 403 ")
    assert server.wait() == 0


def accepts(server: Server) -> bool:
    address = urlsplit(server.url)
    try:
        socket.create_connection((address.hostname, address.port)).close()
    except ConnectionRefusedError:
        return False
    return True


@on_sqlite
def test_a_large_body_gets_its_answer_and_the_connection_ends(server: Server) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = (b"x" * 100_000 for _ in range(300))
    answer = httpx.post(f"{server.url}/login", content=body, headers=form)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


@pytest.fixture
def damaged_store(shared_store: Path, tmp_path: Path) -> str:
    """A store whose model other-moths is cut off."""
    store = shutil.copytree(shared_store, tmp_path / "damaged")
    onnx = store / "other-moths" / "1.0.0" / "model.onnx"
    onnx.write_bytes(onnx.read_bytes()[:-1])
    return str(store)


@on_sqlite
def test_a_damaged_bundle_is_named_at_readyz_and_the_others_serve(
    new_server: Callable[..., Server], damaged_store: str
) -> None:
    server = new_server(STORE=damaged_store).start()
    ready = httpx.get(f"{server.url}/readyz")
    assert ready.status_code == 200
    assert [model["name"] for model in ready.json()["models"]] == ["tiny-moths"]
    (fault,) = ready.json()["faults"]
    assert fault.startswith("other-moths/1.0.0: model.onnx: ")
    assert "other-moths/1.0.0" in server.log.read_text()
