"""What ``/predict`` refuses, and how it says so. One application answers a whole table of bad requests."""

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.db.repositories import identifications
from app.settings import Settings
from tests import drawn_photos
from tests.web.test_predict import RUSTY, ask, sent

GOOD = {"files": [("image", sent(RUSTY))]}
JPEG = {"Content-Type": "image/jpeg"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def _fields(**fields: str) -> dict[str, Any]:
    return {**GOOD, "data": fields}


def _form(content: bytes) -> dict[str, Any]:
    return {"content": content, "headers": FORM}


PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("top_k too small", _fields(top_k="0"), 422, "top_k"),
    ("top_k too large", _fields(top_k="51"), 422, "top_k"),
    ("top_k no number", _fields(top_k="many"), 422, "top_k"),
    ("reliability too low", _fields(reliability="0.4"), 422, "reliability"),
    ("reliability certain", _fields(reliability="1"), 422, "reliability"),
    ("reliability nan", _fields(reliability="nan"), 422, "reliability"),
    ("latitude off the globe", _fields(decimal_latitude="91", decimal_longitude="0"), 422, "latitude"),
    ("latitude alone", _fields(decimal_latitude="50"), 422, "give both or none"),
    ("latitude in words", _fields(decimal_latitude="north", decimal_longitude="0"), 422, "such as 47.25"),
    ("a date in words", _fields(event_date="last night"), 422, "ISO 8601"),
    ("explain maybe", _fields(explain="maybe"), 422, "explain"),
    ("unknown field", _fields(topk="3"), 422, "did you mean top_k?"),
    ("unknown parameter", {**GOOD, "params": {"topk": 3}}, 422, "did you mean top_k?"),
    ("twice in the query", {**GOOD, "params": [("top_k", 1), ("top_k", 2)]}, 422, "given twice"),
    ("in query and form", {**_fields(top_k="2"), "params": {"top_k": 1}}, 422, "given twice"),
    ("unknown model", _fields(model="butterflies"), 404, "No model named 'butterflies'"),
    ("a path as a model", _fields(model="../../etc"), 404, "No model named"),
    ("no photo", {"files": [("top_k", (None, "3"))]}, 422, "image"),
    ("eleven photos", {"files": [("image", sent(RUSTY))] * 11}, 422, "at most 10"),
    ("a file elsewhere", {"files": [("photo", sent(RUSTY))]}, 422, "into the field 'image'"),
    ("an empty file", {"files": [("image", sent(b""))]}, 415, "not a photo"),
    ("no photo format", {"files": [("image", sent(b"%PDF-1.7"))]}, 415, "JPEG, PNG, WebP"),
    ("damaged", {"files": [("image", sent(RUSTY[:2000]))]}, 422, "damaged or cut off"),
    ("second damaged", {"files": [("image", sent(each)) for each in (RUSTY, b"x")]}, 415, "Photo 2"),
    ("a bomb", {"files": [("image", sent(drawn_photos.bomb_png()))]}, 413, "megapixels"),
    ("too many bytes", {"content": b"\xff\xd8\xff" + b"0" * 300_000, "headers": JPEG}, 413, "200,000"),
    ("too many in a form", {"files": [("image", sent(b"\xff\xd8\xff" * 90_000))]}, 413, "200,000"),
    ("an empty body", {"content": b"", "headers": JPEG}, 400, "empty"),
    ("json", {"json": {"image": "base64"}}, 415, "multipart/form-data"),
    ("no content type", {"content": RUSTY}, 415, "image/*"),
    ("no boundary", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
    ("malformed", _form(b"nonsense"), 400, "multipart"),
    ("cut off", _form(PART + RUSTY), 400, "cut off"),
    ("a part without a name", _form(b"--x\r\n\r\nhello\r\n--x--\r\n"), 400, "no name"),
    ("endless headers", _form(b"--x\r\nA: " + b"b" * 20_000), 400, "multipart|headers"),
    ("a long field", _fields(model="m" * 5000), 422, "longer than"),
    ("a bad key", {**GOOD, "headers": {"Idempotency-Key": "two words"}}, 422, "dempotency"),
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_photo_bytes": 200_000})


async def test_each_bad_request_is_told_what_is_wrong_with_it(client: httpx.AsyncClient) -> None:
    for name, request, status, words in REFUSED:
        answer = await client.post("/predict", **request)
        assert answer.status_code == status, (name, answer.text)
        assert answer.headers["content-type"] == "application/problem+json", name
        problem = answer.json()
        assert problem["type"].startswith("/problems/"), name
        assert problem["status"] == status, name
        assert re.search(words, problem["detail"]), (name, problem)
        assert problem["request_id"] == answer.headers["x-request-id"], name
        assert "/work" not in answer.text, name
        assert "Traceback" not in answer.text, name
    await ask(client, RUSTY)


async def test_nothing_that_was_refused_was_saved(client: httpx.AsyncClient, app: FastAPI) -> None:
    for _, request, _, _ in REFUSED[:5]:
        await client.post("/predict", **request)
    async with app.state.sessions() as session:
        assert await identifications.count(session) == 0
    assert not list(app.state.settings.photos_dir.rglob("*.jpg"))
    assert app.state.answering.admission.num_bytes == 0
    assert app.state.answering.admission.num_requests == 0
