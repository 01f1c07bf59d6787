"""The folder of a deployed version is gone at a start: the service says so, answers with the rest, can be mended."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import drawn_photos
from tests.promoting import LENIENT, admin_key, wait_until
from tests.serving import Server
from tests.tiny_bundle import write_tiny_bundle

WHY = "The bundle before it is gone for good."


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Which database it is makes no difference to a folder."""
    return f"sqlite+aiosqlite:///{tmp_path / 'lighttrap.db'}"


@pytest.fixture
def removed(tmp_path: Path) -> Path:
    """Where the removed bundles are kept."""
    return tmp_path / "removed"


@pytest.fixture
def server(new_server: Callable[..., Server], shared_store: Path, tmp_path: Path, removed: Path) -> Server:
    """Started once, and once more without the deployed versions: tiny-moths has another one, other-moths has none."""
    store = shutil.copytree(shared_store, tmp_path / "store")
    server = new_server(STORE=str(store), DEFAULT_MODEL="other-moths", **LENIENT).start()
    server.kill()
    for path in ("tiny-moths/1.0.0", "other-moths/1.0.0"):
        shutil.move(store / path, removed / path)
    return server.start()


def readiness(server: Server) -> tuple[int, dict[str, str], list[str]]:
    """Status, version by model, and faults."""
    answer = httpx.get(f"{server.url}/readyz", timeout=60)
    document: dict[str, Any] = answer.json()
    versions = {each["name"]: each["version"] for each in document["models"]}
    return answer.status_code, versions, document["faults"]


def ask(server: Server, **parameters: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/predict",
        params=parameters,
        content=drawn_photos.photo(),
        headers={"Content-Type": "image/jpeg"},
        timeout=60,
    )


def test_the_others_answer_and_what_to_do_is_said_and_helps(
    server: Server, removed: Path, tmp_path: Path
) -> None:
    status, versions, faults = readiness(server)
    assert (status, versions) == (200, {"tiny-moths": "1.1.0"})
    other, tiny = faults
    assert other.startswith("other-moths/1.0.0: there is no bundle folder here; it is deployed, and"), other
    assert str(tmp_path) not in " ".join(faults)
    assert "nothing answers for other-moths here: put the bundle back, or deploy another version" in other
    assert tiny.startswith("tiny-moths/1.0.0: was deployed, but its folder is not in the store any more"), (
        tiny
    )
    assert "this start deployed 1.1.0 instead, which nobody could compare with it" in tiny

    for parameters in ({}, {"model": "other-moths"}):
        refused = ask(server, **parameters)
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/no-model-deployed"), (
            refused.text
        )
        assert "These answer where they are named: tiny-moths." in refused.json()["detail"]
    assert ask(server, model="tiny-moths").json()["model"]["version"] == "1.1.0"
    for page in ("/", "/species", "/performance", "/models", "/models/other-moths"):
        assert httpx.get(f"{server.url}{page}", timeout=60).status_code == 200, page

    added = server.run(
        "model", "add", str(write_tiny_bundle(tmp_path / "made", "other-moths", "2.0.0", seed=8))
    )
    assert "It is a candidate until it is promoted." in added.stdout, added.stderr
    key = admin_key(server)
    wanted = {"version": "2.0.0", "expected_epoch": 1, "reason": "So that something answers."}
    promote = f"{server.url}/models/other-moths/promote"
    refused = httpx.post(promote, json=wanted, headers=key, timeout=60)
    assert (refused.status_code, "damaged or gone" in refused.text) == (409, True), refused.text
    promoted = httpx.post(promote, json={**wanted, "override": WHY}, headers=key, timeout=60)
    assert promoted.status_code == 200, promoted.text
    assert ask(server).json()["model"]["version"] == "2.0.0"

    gone = server.run("model", "rollback", "tiny-moths", "--reason", "Back to what was judged.")
    assert (gone.returncode, "tiny-moths 1.0.0" in gone.stderr) == (1, True), gone.stderr
    for path in ("tiny-moths/1.0.0", "other-moths/1.0.0"):
        assert server.run("model", "add", str(removed / path)).returncode == 0
    assert readiness(server) == (200, {"other-moths": "2.0.0", "tiny-moths": "1.1.0"}, [])
    back = server.run("model", "rollback", "tiny-moths", "--reason", "Back to what was judged.")
    assert back.returncode == 0, back.stderr
    wait_until(lambda: readiness(server)[1]["tiny-moths"] == "1.0.0")


def test_the_command_line_deploys_another_version_of_a_model_that_lost_its_only_one(
    server: Server, tmp_path: Path
) -> None:
    made = write_tiny_bundle(tmp_path / "made", "other-moths", "2.0.0", seed=8)
    assert server.run("model", "add", str(made)).returncode == 0
    promote = ("model", "promote", "other-moths", "2.0.0", "--reason", "So that something answers.")
    refused = server.run(*promote)
    assert (refused.returncode, "damaged or gone" in refused.stderr) == (1, True), refused.stderr
    done = server.run(*promote, "--override", WHY)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: readiness(server)[1] == {"other-moths": "2.0.0", "tiny-moths": "1.1.0"})
    assert ask(server).json()["model"]["name"] == "other-moths"
