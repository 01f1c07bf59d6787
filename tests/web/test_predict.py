"""``POST /predict``: photos of one animal in, one saved answer out."""

import base64
import hashlib
from datetime import datetime
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from app.db.repositories import identifications
from app.db.session import Sessions
from app.services.answers import IdentifyAnswer
from models import decision
from models.preprocess import Preprocessing, preprocess
from tests import drawn_photos
from tests.tiny_bundle import SIZE_PX, TAXA, TRAINING_COUNTS

Photo = tuple[str, bytes, str]
RUSTY = drawn_photos.photo(kind=0, seed=77)


def sent(data: bytes, name: str = "moth.jpg") -> Photo:
    return (name, data, "image/jpeg")


async def ask(client: httpx.AsyncClient, *photos: bytes, **fields: str) -> dict[str, Any]:
    """The answer to these photos of one animal, which must be one."""
    files = [("image", sent(data)) for data in photos]
    answer = await client.post("/predict", files=files, data=fields)
    assert answer.status_code == 200, answer.text
    IdentifyAnswer.model_validate_json(answer.text)
    found: dict[str, Any] = answer.json()
    return found


async def test_a_drawn_moth_gets_its_name_and_the_evidence_for_it(client: httpx.AsyncClient) -> None:
    answer = await ask(client, RUSTY, top_k="3")
    assert answer["decision"]["kind"] == "species"
    assert answer["decision"]["taxon"]["scientific_name"] == "Aurelia ferruginea"
    assert answer["decision"]["probability"] == answer["predictions"][0]["probability"]
    assert answer["model"]["name"] == "tiny-moths"
    assert (answer["model"]["version"], answer["model"]["epoch"]) == ("1.0.0", 1)
    best = answer["predictions"][0]
    assert best["taxon"] == TAXA[0].model_dump()
    assert (best["group"], best["training_count"]) == ("head", 40)
    assert best["evidence"]["num_test_images"] == 8
    low, high = best["evidence"]["recall_interval"]
    assert low <= best["evidence"]["recall"] <= high
    assert len(answer["predictions"]) == 3
    assert answer["created_at"].endswith("Z")
    assert answer["explanation"] is None


async def test_the_answer_is_what_the_model_and_the_decision_rule_say(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    """From bytes to probabilities by hand, with the functions that training evaluates with."""
    photo = drawn_photos.photo("PNG", kind=5, seed=9)
    answer = await ask(client, photo, top_k="50")
    deployed = app.state.engine.get("tiny-moths")
    pixels, _ = preprocess(photo, Preprocessing(size_px=SIZE_PX))
    logits = deployed.session.run(pixels[None]).logits[0]
    expected = decision.probabilities(logits)
    assert len(answer["predictions"]) == len(TAXA)
    assert [each["probability"] for each in answer["predictions"]] == pytest.approx(sorted(expected)[::-1])
    index = int(np.argmax(expected))
    assert answer["predictions"][0]["score"] == pytest.approx(float(logits[index]))
    in_set = [TAXA[index].label for index in decision.prediction_set(expected, 0.9)]
    assert [taxon["label"] for taxon in answer["prediction_set"]["taxa"]] == in_set
    assert answer["prediction_set"]["coverage"] == 0.9


async def test_raw_bytes_and_a_form_get_the_same_answer(client: httpx.AsyncClient) -> None:
    form = await ask(client, RUSTY, top_k="2", reliability="0.7")
    raw = await client.post(
        "/predict",
        params={"top_k": 2, "reliability": 0.7},
        content=RUSTY,
        headers={"Content-Type": "image/jpeg"},
    )
    assert raw.status_code == 200, raw.text
    for name in ("decision", "predictions", "prediction_set", "images", "model"):
        assert raw.json()[name] == form[name]


async def test_the_format_is_what_the_bytes_say_whatever_the_name(client: httpx.AsyncClient) -> None:
    answers = {}
    for name in ("PNG", "WEBP", "HEIF", "TIFF", "BMP", "GIF"):
        answer = await ask(client, drawn_photos.photo(name))
        answers[name] = answer["images"][0]["format"]
    assert answers == {name: name for name in answers}


async def test_several_photos_of_one_animal_make_one_answer(client: httpx.AsyncClient) -> None:
    photos = [drawn_photos.photo(kind=4, seed=seed) for seed in range(3)]
    each = [await ask(client, photo, top_k="7") for photo in photos]
    together = await ask(client, *photos, top_k="7")
    assert len(together["images"]) == 3
    assert [image["sha256"] for image in together["images"]] == [
        hashlib.sha256(photo).hexdigest() for photo in photos
    ]

    def by_label(answer: dict[str, Any]) -> list[float]:
        found = {entry["taxon"]["label"]: entry["probability"] for entry in answer["predictions"]}
        return [found[taxon.label] for taxon in TAXA]

    expected = decision.combine_photos([by_label(answer) for answer in each])
    assert by_label(together) == pytest.approx(expected.tolist(), rel=1e-6)


async def test_images_is_another_name_of_image(client: httpx.AsyncClient) -> None:
    files = [("images", sent(RUSTY)), ("image", sent(RUSTY))]
    answer = await client.post("/predict", files=files)
    assert len(answer.json()["images"]) == 2


async def test_asking_for_more_reliability_rolls_up_or_says_unknown(client: httpx.AsyncClient) -> None:
    ranks = ["species", "genus", "family", "unknown"]
    for kind in range(len(TAXA)):
        photo = drawn_photos.photo(kind=kind, seed=5)
        lenient = (await ask(client, photo, reliability="0.5"))["decision"]
        strict = (await ask(client, photo, reliability="0.99"))["decision"]
        assert ranks.index(lenient["kind"]) <= ranks.index(strict["kind"])
        if strict["kind"] == "unknown":
            assert (strict["taxon"], strict["probability"]) == (None, None)
            assert "No species, genus or family" in strict["reason"]


async def test_time_place_and_orientation_come_back_to_the_one_who_sent_them(
    client: httpx.AsyncClient,
) -> None:
    block = drawn_photos.exif(orientation=6, taken=datetime(2024, 7, 1, 23, 5), position=(50.5, -7.25))
    image = (await ask(client, drawn_photos.photo(exif=block)))["images"][0]
    assert (image["width_px"], image["height_px"], image["orientation_applied"]) == (240, 320, True)
    assert image["event_date"] == "2024-07-01T23:05:00"
    assert (image["decimal_latitude"], image["decimal_longitude"]) == (50.5, -7.25)
    said = {"event_date": "2024-06-30", "decimal_latitude": "48.1", "decimal_longitude": "11.5"}
    image = (await ask(client, drawn_photos.photo(exif=block), **said))["images"][0]
    assert image["event_date"] == "2024-06-30"
    assert (image["decimal_latitude"], image["decimal_longitude"]) == (48.1, 11.5)


async def test_a_bad_photo_is_answered_with_warnings(client: httpx.AsyncClient) -> None:
    answer = await ask(client, drawn_photos.dark_photo(), drawn_photos.photo(size=(30, 30)))
    assert [image["warnings"] for image in answer["images"]] == [["dark"], ["small"]]


async def test_explain_adds_a_picture_and_says_what_it_is(client: httpx.AsyncClient) -> None:
    explanation = (await ask(client, RUSTY, explain="true"))["explanation"]
    with Image.open(BytesIO(base64.b64decode(explanation["heatmap_png_base64"]))) as picture:
        assert (picture.format, picture.size) == ("PNG", (SIZE_PX, SIZE_PX))
    assert "direction of the photo's embedding" in explanation["heatmap_method"]
    nearest = explanation["nearest"]
    assert len(nearest) == 6
    assert [each["similarity"] for each in nearest] == sorted(
        (each["similarity"] for each in nearest), reverse=True
    )
    assert nearest[0]["label"] == TAXA[0].label
    assert nearest[0]["reference"].startswith(f"{TAXA[0].label}/")
    with Image.open(BytesIO(base64.b64decode(nearest[0]["thumbnail_jpeg_base64"]))) as picture:
        assert picture.size == (96, 96)
    assert f"among {sum(TRAINING_COUNTS):,} of the photos" in explanation["nearest_method"]


async def test_a_bundle_without_codes_of_its_training_photos_says_so(client: httpx.AsyncClient) -> None:
    explanation = (await ask(client, RUSTY, explain="true", model="other-moths"))["explanation"]
    assert explanation["nearest"] == []
    assert "carries no codes of its training photos" in explanation["nearest_method"]


async def test_the_evidence_counts_what_a_species_was_exchanged_with(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    answer = await ask(client, RUSTY, top_k="7")
    evaluation = app.state.engine.get("tiny-moths").evaluation
    pairs = {(pair.true, pair.predicted): pair.num_images for pair in evaluation.confusions}
    assert pairs, "the tiny bundle must make mistakes"
    told: dict[tuple[str, str], int] = {}
    for each in answer["predictions"]:
        label, evidence = each["taxon"]["label"], each["evidence"]
        told |= {(label, other["label"]): other["num_images"] for other in evidence["named_as"]}
        told |= {(other["label"], label): other["num_images"] for other in evidence["given_to"]}
        for direction in ("named_as", "given_to"):
            counts = [other["num_images"] for other in evidence[direction]]
            assert counts == sorted(counts, reverse=True)
            assert len(counts) <= 3
    assert told.items() <= pairs.items()


async def test_another_model_answers_when_it_is_named(client: httpx.AsyncClient) -> None:
    assert (await ask(client, RUSTY, model="other-moths"))["model"]["name"] == "other-moths"


async def test_the_answer_is_saved_as_it_was_sent(client: httpx.AsyncClient, sessions: Sessions) -> None:
    answer = await client.post("/predict", files=[("image", sent(RUSTY)), ("image", sent(RUSTY))])
    async with sessions() as session:
        (row,) = await identifications.newest(session, limit=10)
        assert row.response == answer.text
        assert str(row.id) == answer.json()["id"]
        assert (row.model, row.version, row.epoch, row.top_k) == ("tiny-moths", "1.0.0", 1, 5)
        assert row.reliability == 0.8
        assert [photo.position for photo in row.photos] == [0, 1]


async def test_a_kept_photo_can_be_viewed_and_says_nothing_of_its_place(client: httpx.AsyncClient) -> None:
    block = drawn_photos.exif(orientation=6, position=(50.5, -7.25))
    answer = await ask(client, drawn_photos.photo(exif=block))
    view = await client.get(f"/photos/{answer['id']}/0")
    assert (view.status_code, view.headers["content-type"]) == (200, "image/jpeg")
    assert "immutable" in view.headers["cache-control"]
    with Image.open(BytesIO(view.content)) as picture:
        assert picture.height > picture.width
        assert not picture.getexif()
    for path in (f"{answer['id']}/1", f"{answer['id']}/11", "0/0", f"{'0' * 32}/0"):
        missing = await client.get(f"/photos/{path}")
        assert missing.status_code in (404, 422), path


async def test_the_document_describes_bodies_parameters_and_what_the_set_is(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/predict"]["post"]
    assert set(operation["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert {"model", "top_k", "reliability", "coverage", "explain", "event_date", "Idempotency-Key"} <= names
    described = document["components"]["schemas"]["PredictionSet"]["properties"]["coverage"]["description"]
    assert "How often the right species" in described
    promised = document["components"]["schemas"]["PredictionSet"]["properties"]["promised"]["description"]
    assert "conformal" in promised
