"""An evaluation on uploaded photos is killed at every step: the next start ends it, and counts nothing twice."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.comparison import Comparison
from tests.photo_zips import labelled_photos, zip_of
from tests.promoting import admin_key, wait_until
from tests.serving import Server

NUM_PHOTOS = 42
DEATHS = ("begun", "named 17", "compared", "saved", "committed")


@pytest.fixture
def server(new_server: Callable[..., Server], tmp_path: Path) -> Server:
    """A service that dies where ``server.extra["DYING_AT"]`` says."""
    server = new_server()
    server.program = "tests.dying_trial"
    server.extra["DYING_AT"] = str(tmp_path / "dying")
    (tmp_path / "dying").write_text("")
    return server.start()


def ask(server: Server, key: dict[str, str]) -> str:
    """Have the two versions set against each other. Of the photos one is broken, and one is there twice."""
    photos = labelled_photos(NUM_PHOTOS)
    twice = next(iter(photos.values()))
    data = zip_of({**photos, "night/broken.jpg": (b"no photo", twice[1]), "night/twice.jpg": twice})
    answer = httpx.post(
        f"{server.url}/trials?model=tiny-moths&version=1.1.0",
        content=data,
        headers={**key, "Content-Type": "application/zip"},
        timeout=60,
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def look(server: Server, key: dict[str, str], trial: str) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/trials/{trial}", headers=key, timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(server: Server, key: dict[str, str], trial: str) -> dict[str, Any]:
    """What became of it, without what differs between any two."""
    wait_until(lambda: look(server, key, trial)["state"] not in ("waiting", "running"))
    found = look(server, key, trial)
    return {
        name: found[name] for name in ("state", "detail", "num_photos", "num_done", "num_left_out", "result")
    }


def written_down(server: Server, trial: str) -> list[int]:
    """Places of the photos whose names are kept for the next start."""
    progress = Path(server.settings["DATA_DIR"]) / "trials" / trial / "progress.jsonl"
    lines = progress.read_text().split("\n") if progress.exists() else []
    return [json.loads(line)[0] for line in lines if line]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_killed_evaluation_ends_with_the_result_of_an_undisturbed_one(server: Server) -> None:
    key = admin_key(server)
    expected = ended(server, key, ask(server, key))
    assert (expected["state"], expected["num_left_out"]) == ("done", 2), expected
    assert Comparison.model_validate(expected["result"]).num_photos == NUM_PHOTOS

    dying = Path(server.extra["DYING_AT"])
    dying.write_text("\n".join(DEATHS))
    trial = ask(server, key)
    kept = []
    for number, place in enumerate(DEATHS, start=1):
        assert server.wait() == -signal.SIGKILL, server.log.read_text()
        assert dying.read_text().splitlines() == list(DEATHS[number:]), f"died elsewhere than at: {place}"
        kept.append(written_down(server, trial))
        server.start()
    assert [len(each) for each in kept] == [0, 17, *[NUM_PHOTOS + 2] * 3]
    assert kept[-1] == list(range(NUM_PHOTOS + 2)), "a photo was named twice, or not"
    assert ended(server, key, trial) == expected
    wait_until(lambda: not (Path(server.settings["DATA_DIR"]) / "trials" / trial).exists())
    trials = httpx.get(f"{server.url}/trials", headers=key).json()["trials"]
    assert [each["state"] for each in trials] == ["done", "done"]
