"""Two versions on photos that an admin uploads: in the background, to the end, whatever is done to it meanwhile."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.services.trial import folder_of
from app.settings import Settings
from models import bundle
from models.comparison import Comparison
from tests import drawn_photos
from tests.conftest import store_folder
from tests.photo_zips import labelled_photos, packed, zip_of
from tests.web.conftest import connect

HTML = {"Accept": "text/html"}
ZIP = {"Content-Type": "application/zip"}
ASK = "/trials?model=tiny-moths&version=1.1.0"


async def ask(robot: httpx.AsyncClient, data: bytes) -> dict[str, Any]:
    answer = await robot.post(ASK, content=data, headers=ZIP)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/trials/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


async def ended(robot: httpx.AsyncClient, trial_id: str) -> dict[str, Any]:
    async with asyncio.timeout(120):
        while True:
            found: dict[str, Any] = (await robot.get(f"/trials/{trial_id}")).json()
            if found["state"] not in ("waiting", "running"):
                return found
            await asyncio.sleep(0.05)


async def named(client: httpx.AsyncClient, photos: list[bytes]) -> list[str]:
    """What is answered first."""
    labels = []
    for photo in photos:
        answer = await client.post("/predict", content=photo, headers={"Content-Type": "image/jpeg"})
        labels.append(answer.json()["predictions"][0]["taxon"]["label"])
    return labels


async def gone(folder: Path) -> None:
    async with asyncio.timeout(60):
        while folder.exists():
            await asyncio.sleep(0.05)


async def test_a_set_is_named_by_both_versions_as_they_would_answer(
    app: FastAPI, settings: Settings, robot: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    photos = labelled_photos(14)
    twice = next(iter(photos.values()))[0]
    extra = {
        "night/broken.jpg": (b"no photo", "candela_striata"),
        "night/twice.jpg": (twice, "candela_striata"),
    }
    asked = await ask(robot, zip_of({**photos, **extra}))
    assert (asked["num_photos"], asked["version"], asked["reference"]) == (16, "1.1.0", "1.0.0")
    found = await ended(robot, asked["id"])
    assert (found["state"], found["num_done"], found["num_left_out"]) == ("done", 16, 2), found
    result = Comparison.model_validate(found["result"])
    assert (result.basis, result.num_photos) == ("paired", 14)
    old = await named(client, [photo for photo, _ in photos.values()])
    promoted = {"version": "1.1.0", "expected_epoch": 1, "reason": "For this test."}
    assert (await robot.post("/models/tiny-moths/promote", json=promoted)).status_code == 200
    new = await named(client, [photo for photo, _ in photos.values()])
    truth = [label for _, label in photos.values()]
    card = bundle.read(store_folder(settings) / "tiny-moths" / "1.0.0").card
    for species in result.species:
        own = [place for place, label in enumerate(truth) if label == species.label]
        assert species.recall is not None
        assert species.recall.reference == pytest.approx(
            sum(old[each] == truth[each] for each in own) / len(own)
        )
        assert species.recall.candidate == pytest.approx(
            sum(new[each] == truth[each] for each in own) / len(own)
        )
    assert len(result.species) == len(card.taxa)
    await gone(folder_of(settings, asked["id"]))


async def test_what_is_no_set_is_refused_and_nothing_of_it_is_kept(
    settings: Settings, robot: httpx.AsyncClient
) -> None:
    photo = drawn_photos.photo()
    for data, headers, status, words in (
        (b"", ZIP, 422, "choose a zip"),
        (b"PK", ZIP, 422, "no zip"),
        (packed({"a.jpg": photo, "a.csv": b"file,label\na.jpg,unheard_of\n"}), ZIP, 422, "neither version"),
        (b"x", {"Content-Type": "image/jpeg"}, 400, "application/zip"),
        (b"x", {"Content-Type": "multipart/form-data; boundary=x"}, 400, "multipart"),
    ):
        answer = await robot.post(ASK, content=data, headers=headers)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    good = zip_of(labelled_photos(1))
    for query, status in (("version=9.9.9", 404), ("version=1.0.0", 409), ("version=1.1.0&with=1.1.0", 409)):
        answer = await robot.post(f"/trials?model=tiny-moths&{query}", content=good, headers=ZIP)
        assert answer.status_code == status, answer.text
    assert (await robot.get("/trials")).json() == {"trials": []}
    assert list((settings.data_dir / "trials").iterdir()) == []


async def test_a_zip_over_the_limit_is_refused(
    app: FastAPI, robot: httpx.AsyncClient, settings: Settings
) -> None:
    small = settings.model_copy(update={"max_trial_bytes": 1_000})
    app.state.settings = small
    answer = await robot.post(ASK, content=zip_of(labelled_photos(2)), headers=ZIP)
    assert answer.status_code == 413
    assert "1,000 bytes" in answer.json()["detail"]
    assert list((settings.data_dir / "trials").iterdir()) == []


async def test_a_form_holds_one_zip_and_nothing_that_nobody_knows(
    robot: httpx.AsyncClient, settings: Settings
) -> None:
    zips = [("photos", (f"{number}.zip", zip_of(labelled_photos(1)), "application/zip")) for number in (1, 2)]
    for files, words in ((zips, "one zip in one request"), ([("fotos", zips[0][1])], "did you mean photos")):
        answer = await robot.post(ASK, files=files)
        assert (answer.status_code, words in answer.text) == (422, True), answer.text
    assert list((settings.data_dir / "trials").iterdir()) == []


async def test_one_that_is_cancelled_stays_cancelled_and_others_wait_their_turn(
    settings: Settings, robot: httpx.AsyncClient
) -> None:
    data = zip_of(labelled_photos(60))
    trials = [await ask(robot, data) for _ in range(5)]
    sixth = await robot.post(ASK, content=data, headers=ZIP)
    assert (sixth.status_code, "cancel one" in sixth.text) == (409, True)
    for each in trials:
        cancelled = await robot.post(f"/trials/{each['id']}/cancel")
        assert cancelled.json()["state"] == "cancelled", cancelled.text
        assert cancelled.json()["detail"] == "Cancelled by key robot."
    assert (await robot.post(f"/trials/{trials[0]['id']}/cancel")).status_code == 409
    for each in trials:
        await gone(folder_of(settings, each["id"]))
        assert (await ended(robot, each["id"]))["state"] == "cancelled"
    last = await ask(robot, zip_of(labelled_photos(2)))
    assert (await ended(robot, last["id"]))["state"] == "done"


async def test_it_goes_on_where_it_was_after_a_restart(
    app: FastAPI, settings: Settings, robot: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.trialling.LEASE", timedelta(0))
    asked = await ask(robot, zip_of(labelled_photos(40)))
    progress = folder_of(settings, asked["id"]) / "progress.jsonl"
    async with asyncio.timeout(120):
        while not progress.exists() or len(progress.read_text().split()) < 15:
            await asyncio.sleep(0.01)
    await app.state.trialling.stop()
    half_written = progress.read_text() + '[99, "ab'
    progress.write_text(half_written)
    found = await ended(robot, asked["id"])  # the loop of this process takes it up again
    assert (found["state"], found["num_done"]) == ("done", 40), found
    assert Comparison.model_validate(found["result"]).num_photos == 40


async def test_one_that_ends_its_process_again_and_again_is_given_up(
    settings: Settings, robot: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.trialling.MAX_STARTS", 0)
    found = await ended(robot, (await ask(robot, zip_of(labelled_photos(1))))["id"])
    words = "It was begun 0 times, and the service ended each time before it did."
    assert (found["state"], found["detail"]) == ("failed", words), found


async def test_photos_that_nobody_can_decode_end_it_with_a_sentence(robot: httpx.AsyncClient) -> None:
    found = await ended(robot, (await ask(robot, zip_of({"a.jpg": (b"no photo", "candela_striata")})))["id"])
    words = "None of the photos could be decoded and has a label that both versions know."
    assert (found["state"], found["detail"]) == ("failed", words), found


async def test_a_version_that_was_damaged_since_is_named_by_its_file(
    robot: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_given: object) -> None:
        raise bundle.BundleError("card.json: its SHA-256 is another one")

    monkeypatch.setattr("app.services.trialling.read_registered", damaged)
    found = await ended(robot, (await ask(robot, zip_of(labelled_photos(1))))["id"])
    assert (found["state"], found["detail"]) == ("failed", "card.json: its SHA-256 is another one"), found


async def test_photos_that_went_away_with_their_process_end_the_trial(
    settings: Settings, robot: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.trialling.ABANDONED_AFTER", timedelta(0))
    asked = await ask(robot, zip_of(labelled_photos(60)))
    folder_of(settings, asked["id"]).rename(settings.data_dir / "elsewhere")
    found = await ended(robot, asked["id"])
    assert (found["state"], "Upload them again" in found["detail"]) == ("failed", True), found


async def test_the_page_takes_a_set_shows_how_far_it_is_and_the_result(
    app: FastAPI, admin: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    address = "/compare?model=tiny-moths&version=1.1.0&with=1.0.0"
    html = (await admin.get(address, headers=HTML)).text
    assert "What each costs here" in html
    assert "/trials/form" not in (await client.get(address, headers=HTML)).text
    action = re.search(r'action="(/trials/form[^"]+)"', html)
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', html)
    assert action is not None
    assert token is not None
    form = action[1].replace("&amp;", "&")
    files = {"photos": ("set.zip", zip_of(labelled_photos(7)), "application/zip")}
    forged = await admin.post(form, data={"form_token": "0"}, files=files, headers=HTML)
    assert forged.status_code == 403
    sent = await admin.post(form, data={"form_token": token[1]}, files=files, headers=HTML)
    assert sent.status_code == 303, sent.text
    page = sent.headers["location"]
    first = (await admin.get(page, headers=HTML)).text
    assert 'http-equiv="refresh"' in first or "done, 7 photos" in first
    async with connect(app) as stranger:
        assert (await stranger.get(page, headers={"Accept": "application/json"})).status_code == 401
    await ended(admin, page.split("/")[2])
    done = (await admin.get(page, headers=HTML)).text
    assert "Compared photo by photo, on the same 7 test photos." in done
    assert "http-equiv" not in done
    assert "done, 7 photos" in (await admin.get(address, headers=HTML)).text
    assert (await admin.post(page.replace("/page", "/end"), data={"form_token": token[1]})).status_code == 409


async def test_size_and_speed_are_measured_here(settings: Settings, client: httpx.AsyncClient) -> None:
    found = (await client.get("/models/tiny-moths/versions/1.1.0/compare")).json()
    onnx = store_folder(settings) / "tiny-moths" / "1.1.0" / "model.onnx"
    cost = found["candidate_cost"]
    assert cost["size_bytes"] == onnx.stat().st_size
    assert 0 < cost["ms_per_photo"] <= cost["ms_slowest"]
    assert cost["provider"] == "CPUExecutionProvider"
    again = (await client.get("/models/tiny-moths/versions/1.1.0/compare")).json()
    assert again["candidate_cost"] == cost
