"""An Idempotency-Key names one request: sent again it gets the answer that was saved, and only one is."""

import asyncio
import hashlib
from typing import Any

import httpx
from fastapi import FastAPI

from app.db.repositories import identifications
from app.db.tables import Role
from app.main import create_app
from app.settings import Settings
from app.web.predict_parameters import PredictParameters
from tests import drawn_photos
from tests.web.conftest import connect, log_in, new_key
from tests.web.test_predict import RUSTY, sent

OTHER = drawn_photos.photo(kind=3)


async def ask(client: httpx.AsyncClient, key: str, *photos: bytes, **more: Any) -> httpx.Response:
    files = [("image", sent(data)) for data in photos]
    return await client.post("/predict", files=files, headers={"Idempotency-Key": key}, **more)


async def num_saved(app: FastAPI) -> int:
    async with app.state.sessions() as session:
        return await identifications.count(session)


async def test_the_same_request_gets_the_same_answer(client: httpx.AsyncClient, app: FastAPI) -> None:
    first = await ask(client, "night-1", RUSTY)
    again = await ask(client, "night-1", RUSTY)
    assert first.status_code == again.status_code == 200
    assert first.text == again.text
    assert await num_saved(app) == 1


async def test_what_counts_is_what_was_asked_not_how_it_was_encoded(client: httpx.AsyncClient) -> None:
    form = await ask(client, "night-2", RUSTY, data={"top_k": "3"})
    raw = await client.post(
        "/predict?top_k=3",
        content=RUSTY,
        headers={"Idempotency-Key": "night-2", "Content-Type": "image/jpeg"},
    )
    assert raw.text == form.text


def test_a_key_from_before_there_were_coverages_and_checklists_stays_good() -> None:
    """What version 0.1.0 hashed of a request that leaves everything open, written out."""
    told = (
        '{"decimal_latitude": null, "decimal_longitude": null, "event_date": null, "explain": false, '
        '"model": null, "reliability": null, "top_k": 5}'
    )
    digests = hashlib.sha256(told.encode()).digest() + hashlib.sha256(RUSTY).digest()
    silent = PredictParameters()
    assert silent.body_sha256([RUSTY]) == hashlib.sha256(digests).hexdigest()
    for other in (PredictParameters(coverage=0.8), PredictParameters(prior="none")):
        assert other.body_sha256([RUSTY]) != silent.body_sha256([RUSTY])


async def test_another_photo_or_parameter_under_the_same_key_is_a_conflict(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    await ask(client, "night-3", RUSTY)
    for answer in (
        await ask(client, "night-3", OTHER),
        await ask(client, "night-3", RUSTY, OTHER),
        await ask(client, "night-3", RUSTY, data={"top_k": "1"}),
    ):
        assert answer.status_code == 409
        assert answer.json()["type"] == "/problems/idempotency-conflict"
    assert await num_saved(app) == 1


async def test_many_at_once_under_one_key_are_one_identification(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    answers = await asyncio.gather(*(ask(client, "night-4", RUSTY) for _ in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.text for answer in answers}) == 1
    assert await num_saved(app) == 1


async def test_different_requests_at_once_under_one_key_are_answered_once(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    answers = await asyncio.gather(*(ask(client, "night-5", photo) for photo in (RUSTY, OTHER) * 3))
    assert {answer.status_code for answer in answers} == {200, 409}
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
    assert await num_saved(app) == 1


async def test_a_refused_request_may_be_mended_under_its_key(client: httpx.AsyncClient) -> None:
    assert (await ask(client, "night-6", b"no photo")).status_code == 415
    assert (await ask(client, "night-6", RUSTY)).status_code == 200


async def test_keys_of_different_callers_never_meet(client: httpx.AsyncClient, app: FastAPI) -> None:
    anonymous = await ask(client, "night-7", RUSTY)
    async with connect(app) as browser:
        await log_in(browser, app, "cleo", Role.VIEWER)
        logged_in = await ask(browser, "night-7", OTHER)
    async with connect(app, Authorization=f"Bearer {await new_key(app, 'predict')}") as program:
        with_key = await ask(program, "night-7", RUSTY)
    assert [anonymous.status_code, logged_in.status_code, with_key.status_code] == [200] * 3
    assert len({anonymous.json()["id"], logged_in.json()["id"], with_key.json()["id"]}) == 3


async def test_the_saved_answer_outlives_the_application(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    first = await ask(client, "night-8", RUSTY)
    application = create_app(settings)
    async with application.router.lifespan_context(application), connect(application) as next_client:
        again = await ask(next_client, "night-8", RUSTY)
    assert again.text == first.text
