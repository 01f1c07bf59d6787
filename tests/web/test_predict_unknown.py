"""What is no known species is an answer that says which kind of unknown it is; older bundles answer as before."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from app.main import create_app
from app.services.answers import IdentifyAnswer
from app.services.registry import prepare_registry
from app.settings import Settings
from tests import drawn_photos
from tests.tiny_bundle import write_tiny_bundle
from training.outsiders import draw_outsider


@pytest.fixture(scope="module")
def knowing_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says when something is no drawn moth, and one from before that."""
    folder = tmp_path_factory.mktemp("store")
    write_tiny_bundle(folder, "tiny-moths", "1.0.0", with_unknown=True)
    write_tiny_bundle(folder, "old-moths", "1.0.0")
    return folder


@pytest.fixture
async def app(settings: Settings, sessions: Any, knowing_store: Path) -> AsyncIterator[FastAPI]:
    await prepare_registry(sessions, knowing_store)
    application = create_app(settings.model_copy(update={"store": knowing_store}))
    async with application.router.lifespan_context(application):
        yield application


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


THINGS = [_png(draw_outsider("noise", 500 + number, 96)) for number in range(12)]


async def ask(client: httpx.AsyncClient, *photos: bytes, model: str = "tiny-moths") -> dict[str, Any]:
    files = [("image", ("photo", data, "image/png")) for data in photos]
    answer = await client.post("/predict", files=files, data={"model": model, "reliability": "0.5"})
    assert answer.status_code == 200, answer.text
    IdentifyAnswer.model_validate_json(answer.text)
    found: dict[str, Any] = answer.json()
    return found


async def test_a_known_moth_is_named_and_nothing_is_called_unknown(client: httpx.AsyncClient) -> None:
    named = [
        (await ask(client, drawn_photos.photo(kind=0, seed=seed)))["decision"] for seed in range(300, 306)
    ]
    kept = [decision for decision in named if decision["kind"] != "unknown"]
    assert len(kept) >= 4
    assert all(decision["unknown"] is None for decision in kept)


async def test_things_are_refused_with_a_kind_and_its_figures_and_their_guesses_stay(
    client: httpx.AsyncClient,
) -> None:
    answers = [await ask(client, thing) for thing in THINGS]
    refused = [each for each in answers if each["decision"]["unknown"] is not None]
    assert len(refused) >= 8
    for answer in refused:
        decision, unknown = answer["decision"], answer["decision"]["unknown"]
        assert (decision["kind"], decision["taxon"], decision["probability"]) == ("unknown", None, None)
        assert unknown["kind"] in ("not_a_moth", "unclear", "unknown_moth", "poor_photo", "undecided")
        assert unknown["false_rejection"] == 0.05
        assert len(unknown["faults"]) == 1
        assert answer["predictions"]
    told = [
        each["decision"]["unknown"] for each in refused if each["decision"]["unknown"]["kind"] == "not_a_moth"
    ]
    assert told, [each["decision"]["unknown"]["kind"] for each in refused]


async def test_a_photo_in_the_dark_is_a_poor_photo_with_its_measure(client: httpx.AsyncClient) -> None:
    answer = await ask(client, drawn_photos.dark_photo())
    decision = answer["decision"]
    assert decision["unknown"]["kind"] == "poor_photo"
    assert [fault["fault"] for fault in decision["unknown"]["faults"][0]] == ["dark"]
    assert "of full light" in decision["reason"]


async def test_several_photos_each_have_their_faults(client: httpx.AsyncClient) -> None:
    answer = await ask(client, drawn_photos.dark_photo(), drawn_photos.dark_photo(), THINGS[0])
    unknown = answer["decision"]["unknown"]
    assert unknown is not None
    assert [len(faults) > 0 for faults in unknown["faults"]][:2] == [True, True]


async def test_a_model_from_before_names_things_as_it_did(client: httpx.AsyncClient) -> None:
    for thing in THINGS[:4]:
        decision = (await ask(client, thing, model="old-moths"))["decision"]
        if decision["kind"] == "unknown":
            assert decision["unknown"]["kind"] in ("undecided", "poor_photo")
            assert decision["unknown"]["score"] is None
        else:
            assert decision["unknown"] is None


async def test_the_page_says_it_in_words(client: httpx.AsyncClient) -> None:
    for thing in THINGS:
        answer = await ask(client, thing)
        if answer["decision"]["unknown"] and answer["decision"]["unknown"]["kind"] == "not_a_moth":
            page = (await client.get(f"/identifications/{answer['id']}")).text
            assert "Probably not a moth" in page
            assert "Nothing to record here" in page
            assert answer["decision"]["reason"] in page
            assert "nothing is promised of this one" in page
            assert "Only this one fits" not in page
            return
    raise AssertionError("none of the things was called no moth")


async def test_the_bundle_is_handed_out_with_its_arrays(client: httpx.AsyncClient) -> None:
    import zipfile

    answer = await client.get("/models/tiny-moths/versions/1.0.0/bundle")
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert any(name.endswith("unknown.npz") for name in archive.namelist())
