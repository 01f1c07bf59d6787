"""Prediction sets over HTTP, by a bundle with conformal tables, one with too few photos for them, and an older one."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from models import bundle, decision
from models.conformal import SetRule
from models.preprocess import Preprocessing, preprocess
from tests import drawn_photos
from tests.tiny_bundle import SIZE_PX, TAXA, write_tiny_bundle
from tests.trusted_bundle import write_trusted_bundle
from tests.web.conftest import ask

PHOTO = drawn_photos.photo(kind=5, seed=4247)
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles of these tests in place of the usual ones."""
    folder = tmp_path_factory.mktemp("store")
    write_trusted_bundle(folder, "tiny-moths")
    write_trusted_bundle(folder, "few-moths", calibration_photos=1)
    write_trusted_bundle(folder, "mirrored-moths", views="mirrored")
    write_tiny_bundle(folder, "older-moths")
    return folder


def probabilities(app: FastAPI, name: str, photo: bytes) -> NDArray[np.float64]:
    deployed = app.state.engine.get(name)
    pixels, _ = preprocess(photo, Preprocessing(size_px=SIZE_PX))
    logits = deployed.session.run(pixels[None]).logits
    (found,) = decision.calibrated(logits, deployed.card.calibration, deployed.card.training_counts)
    return np.asarray(found)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.97])
async def test_the_set_is_the_one_of_the_cards_table(
    client: httpx.AsyncClient, app: FastAPI, shared_store: Path, coverage: float
) -> None:
    card = bundle.read(shared_store / "tiny-moths/1.0.0").card
    rule = SetRule(card.conformal[0], card.training_counts, card.groups)
    for kind in range(len(TAXA)):
        photo = drawn_photos.photo(kind=kind, seed=60 + kind)
        found = (await ask(client, photo, coverage=str(coverage)))["prediction_set"]
        expected = decision.prediction_set(probabilities(app, "tiny-moths", photo), coverage, rule)
        assert [taxon["label"] for taxon in found["taxa"]] == [TAXA[index].label for index in expected]
        assert (found["coverage"], found["promised"], found["score"]) == (coverage, True, "group")
        assert found["num_calibration_images"] == 84
        assert f"{coverage:.0%}" in found["promise"]


async def test_without_a_wish_nine_in_ten_is_promised_and_what_was_measured_stands_beside_it(
    client: httpx.AsyncClient, shared_store: Path
) -> None:
    found = (await ask(client, PHOTO))["prediction_set"]
    reports = bundle.read(shared_store / "tiny-moths/1.0.0").evaluation.prediction_sets
    (report,) = (each for each in reports if each.alpha == 0.1 and each.score == "group")
    assert found["coverage"] == 0.9
    assert found["macro_coverage"] == report.groups[0].macro_coverage.value
    between = (await ask(client, PHOTO, coverage="0.93"))["prediction_set"]
    assert (between["promised"], between["macro_coverage"]) == (True, None)


async def test_a_set_of_everything_is_said_and_not_listed(client: httpx.AsyncClient) -> None:
    answer = await ask(client, PHOTO, model="few-moths")
    found = answer["prediction_set"]
    assert (found["everything"], found["taxa"], found["num_calibration_images"]) == (True, [], 7)
    page = (await client.get(f"/identifications/{answer['id']}")).text
    assert "cannot be narrowed down to a few species at 90%" in page
    assert "measured on 7 photos, which is too few" in page


async def test_several_photos_get_a_set_without_a_promise(client: httpx.AsyncClient) -> None:
    found = (await ask(client, PHOTO, PHOTO))["prediction_set"]
    assert (found["promised"], found["macro_coverage"]) == (False, None)
    assert "for 2 photos together nothing is promised" in found["promise"]
    assert found["taxa"]


async def test_a_set_under_a_checklist_holds_its_species_and_promises_nothing(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    listed = TAXA[2]
    added = await robot.post(
        "/models/tiny-moths/checklists",
        params={"checklist": "only", "unlisted_weight": "0"},
        content=f"scientific_name\n{listed.display_name}\n".encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert added.status_code == 200, added.text
    found = (await ask(client, PHOTO, PHOTO, prior="only"))["prediction_set"]
    assert [taxon["label"] for taxon in found["taxa"]] == [listed.label]
    assert (found["promised"], found["macro_coverage"]) == (False, None)
    assert "for 2 photos together and under a checklist nothing is promised" in found["promise"]
    single = (await ask(client, PHOTO, prior="only"))["prediction_set"]
    assert (single["promised"], single["macro_coverage"]) == (False, None)


async def test_an_older_card_promises_nothing(client: httpx.AsyncClient) -> None:
    answer = await ask(client, PHOTO, model="older-moths", coverage="0.8")
    found = answer["prediction_set"]
    assert (found["promised"], found["score"], found["everything"]) == (False, None, False)
    assert "is not known" in found["promise"]
    total = sum(each["probability"] for each in answer["predictions"][: len(found["taxa"])])
    assert total >= 0.8


@pytest.mark.parametrize("coverage", ["0.79", "0.995", "nan", "ninety"])
async def test_a_coverage_that_nothing_was_fitted_for_is_refused(
    client: httpx.AsyncClient, coverage: str
) -> None:
    answer = await client.post(
        "/predict", params={"coverage": coverage}, content=PHOTO, headers={"Content-Type": "image/jpeg"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "coverage"


async def test_a_card_that_asks_for_mirrored_views_gets_them_and_a_mirrored_photo_the_same_answer(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    deployed = app.state.engine.get("mirrored-moths")
    pixels, _ = preprocess(PHOTO, Preprocessing(size_px=SIZE_PX))
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    alone = [deployed.session.run(view[None]).logits[0] for view in (pixels, mirrored)]
    answers = [await app.state.engine.run(deployed, view[None], True) for view in (pixels, mirrored)]
    assert not np.allclose(*alone)
    np.testing.assert_allclose(answers[0].logits[0], np.mean(alone, axis=0), atol=1e-5)
    np.testing.assert_allclose(answers[1].logits, answers[0].logits, atol=1e-5)
    assert [len(part) for part in (answers[0].embedding, answers[0].features)] == [1, 1]
    found = await ask(client, PHOTO, PHOTO, model="mirrored-moths")
    best = max(found["predictions"], key=lambda each: each["probability"])
    assert best["score"] == pytest.approx(float(np.mean(alone, axis=0).max()), abs=1e-4)


async def test_the_pages_show_what_was_measured_or_say_in_a_sentence_that_nothing_was(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/performance", params={"model": "tiny-moths"})).text
    for block in ("calibration", "sets", "set-sizes", "ranks", "answered", "several"):
        assert f'id="{block}"' in page
        assert f'id="{block}-figure"' in page
    older = (await client.get("/performance", params={"model": "older-moths"})).text
    assert "were not measured when this version was exported" in older
    assert 'id="sets"' not in older
    few = (await client.get("/performance", params={"model": "few-moths"})).text
    assert "too few photos to fit" in few
