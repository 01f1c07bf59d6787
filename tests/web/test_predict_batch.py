"""``POST /predict/batch``: many animals, each answered or told why not, in order."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from app.db.repositories import identifications
from app.services.answers import IdentifyAnswer
from app.settings import Settings
from tests import drawn_photos
from tests.web.test_predict import RUSTY, sent

BAD = b"%PDF-1.7"


async def ask(client: httpx.AsyncClient, photos: list[bytes], key: str | None = None) -> httpx.Response:
    files = [("image", sent(data, f"{index}.jpg")) for index, data in enumerate(photos)]
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post("/predict/batch", files=files, headers=headers)


async def num_saved(app: FastAPI) -> int:
    async with app.state.sessions() as session:
        return await identifications.count(session)


async def test_each_photo_is_an_animal_of_its_own_in_the_order_sent(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    kinds = [3, 0, 5, 1]
    answer = await ask(client, [drawn_photos.photo(kind=kind, seed=2) for kind in kinds])
    assert answer.status_code == 200, answer.text
    items = answer.json()
    assert [item["index"] for item in items] == [0, 1, 2, 3]
    assert [item["filename"] for item in items] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    for item in items:
        one = IdentifyAnswer.model_validate(item["result"])
        saved = await client.get(f"/photos/{one.id}/0")
        assert saved.status_code == 200
    assert len({item["result"]["id"] for item in items}) == 4
    assert await num_saved(app) == 4


async def test_one_bad_photo_never_fails_the_others(client: httpx.AsyncClient, app: FastAPI) -> None:
    items = (await ask(client, [RUSTY, BAD, RUSTY[:2500], drawn_photos.bomb_png(), RUSTY])).json()
    assert ["result" in item for item in items] == [True, False, False, False, True]
    assert [item["problem"]["status"] for item in items if "problem" in item] == [415, 422, 413]
    assert items[1]["problem"]["type"] == "/problems/unsupported-photo"
    assert await num_saved(app) == 2


async def test_sixty_four_photos_are_taken_and_sixty_five_are_not(client: httpx.AsyncClient) -> None:
    tiny = drawn_photos.photo(size=(40, 32))
    items = (await ask(client, [tiny] * 64)).json()
    assert len(items) == 64
    assert all("result" in item for item in items)
    assert (await ask(client, [tiny] * 65)).status_code == 422


async def test_parameters_hold_for_every_photo(client: httpx.AsyncClient) -> None:
    files = [("image", sent(RUSTY)), ("images", sent(RUSTY))]
    answer = await client.post("/predict/batch", files=files, data={"top_k": "2"})
    assert [len(item["result"]["predictions"]) for item in answer.json()] == [2, 2]
    assert (await client.post("/predict/batch?topk=1", files=files)).status_code == 422


async def test_a_batch_sent_again_under_its_key_gets_what_was_saved(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    photos = [RUSTY, BAD, drawn_photos.photo(kind=2)]
    first, again = await ask(client, photos, "b-1"), await ask(client, photos, "b-1")
    assert [item.get("result") for item in first.json()] == [item.get("result") for item in again.json()]
    assert await num_saved(app) == 2
    assert (await ask(client, photos[::-1], "b-1")).status_code == 409
    assert (await ask(client, photos[:1], "b-1")).status_code == 409


async def test_the_same_batch_twice_at_once_is_saved_once(client: httpx.AsyncClient, app: FastAPI) -> None:
    photos = [RUSTY, drawn_photos.photo(kind=2)]
    answers = await asyncio.gather(*(ask(client, photos, "b-2") for _ in range(4)))
    assert len({answer.text for answer in answers}) == 1
    assert await num_saved(app) == 2


async def test_an_unknown_model_is_each_photos_problem(client: httpx.AsyncClient) -> None:
    files = [("image", sent(RUSTY))]
    items = (await client.post("/predict/batch", files=files, data={"model": "none"})).json()
    assert items[0]["problem"]["status"] == 404


class TestSmallLimits:
    """With a limit of three photos."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_batch_photos": 3})

    async def test_the_limit_is_the_settings_own(self, client: httpx.AsyncClient) -> None:
        answer = await ask(client, [RUSTY] * 4)
        assert answer.status_code == 422
        assert "at most 3 photos" in answer.json()["detail"]
