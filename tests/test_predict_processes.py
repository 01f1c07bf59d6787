"""Identification in a real service whose processes are killed: nothing that was answered is lost."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests import drawn_photos
from tests.serving import Server

JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    """Answering, with time to decode on a machine that does much else."""
    return new_server(DECODE_TIMEOUT_S="60").start()


@pytest.fixture(scope="module")
def slow_photo() -> bytes:
    """Takes about a second to decode."""
    noise = np.random.default_rng(0).integers(0, 4, (700, 700, 3), dtype=np.uint8)
    return drawn_photos.encode(Image.fromarray(np.tile(noise, (8, 8, 1))), "PNG", compress_level=1)


def children(server: Server) -> list[int]:
    """Decoding processes of this server."""
    found = []
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        found += [int(process_id) for process_id in (task / "children").read_text().split()]
    return found


def is_busy(process_id: int) -> bool:
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "R"


def kept(server: Server, answer: httpx.Response) -> bool:
    """Whether the answer's row and photo are there."""
    return httpx.get(f"{server.url}/photos/{answer.json()['id']}/0").status_code == 200


def test_a_killed_decoding_process_costs_nobody_an_answer(server: Server, slow_photo: bytes) -> None:
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(httpx.post, f"{server.url}/predict", content=slow_photo, headers=JPEG, timeout=60)
        (victim,) = children(server)
        while not is_busy(victim):
            time.sleep(0.005)
        os.kill(victim, signal.SIGKILL)
        others = [
            pool.submit(
                httpx.post,
                f"{server.url}/predict",
                content=drawn_photos.photo(seed=seed),
                headers=JPEG,
                timeout=60,
            )
            for seed in range(4)
        ]
        answers = [future.result() for future in (slow, *others)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert all(kept(server, answer) for answer in answers)
    assert victim not in children(server)
    figures = httpx.get(f"{server.url}/metrics").text
    assert 'lighttrap_decoder_ends_total{cause="died"} 1.0' in figures


@contextmanager
def killing(server: Server, seed: int) -> Iterator[None]:
    """Kill decoding processes at random moments for as long as this lasts."""
    rng = random.Random(seed)
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(rng.uniform(0.3, 0.9)):
            for process_id in children(server):
                os.kill(process_id, rng.choice([signal.SIGKILL, signal.SIGSEGV]))

    thread = threading.Thread(target=kill)
    thread.start()
    yield
    ended.set()
    thread.join()


def test_under_random_kills_every_request_is_answered_or_refused_and_every_answer_is_kept(
    server: Server,
) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 (shown when the test fails)
    with httpx.Client(timeout=60) as client, killing(server, seed):
        answers = [
            client.post(f"{server.url}/predict", content=drawn_photos.photo(seed=number), headers=JPEG)
            for number in range(60)
        ]
    assert {answer.status_code for answer in answers} <= {200, 422}
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) > 30
    assert len({answer.json()["id"] for answer in good}) == len(good)
    assert all(kept(server, answer) for answer in good)
    assert httpx.get(f"{server.url}/readyz").status_code == 200


def test_what_was_answered_right_before_a_power_cut_is_there_after_it(
    new_server: Callable[..., Server],
) -> None:
    server = new_server().start()
    photo = drawn_photos.photo(kind=3)
    key = {"Idempotency-Key": "before-the-cut"}
    answer = httpx.post(f"{server.url}/predict", content=photo, headers={**JPEG, **key})
    server.process.kill()
    assert answer.status_code == 200
    server.kill()
    server.start()
    assert kept(server, answer)
    again = httpx.post(f"{server.url}/predict", content=photo, headers={**JPEG, **key})
    assert again.text == answer.text


def test_decoding_processes_end_with_their_server(new_server: Callable[..., Server]) -> None:
    server = new_server(DECODE_WORKERS="2").start()
    orphans = children(server)
    assert len(orphans) == 2
    server.process.kill()
    server.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{process_id}").exists() for process_id in orphans):
        assert time.monotonic() < deadline, "they outlived their server by 20 s"
        time.sleep(0.05)


def test_a_photo_over_its_deadline_is_a_422_and_the_next_one_is_answered(
    new_server: Callable[..., Server], slow_photo: bytes
) -> None:
    server = new_server(DECODE_TIMEOUT_S="0.2").start()
    refused = httpx.post(f"{server.url}/predict", content=slow_photo, headers=JPEG, timeout=60)
    assert refused.status_code == 422
    assert "0.2 seconds" in refused.json()["detail"]
    (process_id,) = _wait_for_children(server)
    assert process_id > 0


def _wait_for_children(server: Server) -> list[int]:
    while not children(server):
        time.sleep(0.02)
    return children(server)


def test_two_replicas_answer_one_key_once(new_server: Callable[..., Server]) -> None:
    replicas = [new_server().start(), new_server().start()]
    photo = drawn_photos.photo(kind=5)
    headers = {**JPEG, "Idempotency-Key": "one-night"}

    def ask(replica: Server) -> httpx.Response:
        return httpx.post(f"{replica.url}/predict", content=photo, headers=headers)

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(ask, replicas * 3))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.text for answer in answers}) == 1
