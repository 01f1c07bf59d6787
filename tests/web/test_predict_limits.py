"""Who is let in: the queue, the rate, who may identify at all. And what happens when the disk is full."""

import asyncio
import errno
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.db.tables import Role
from app.errors import Busy, TooManyRequests
from app.settings import Settings
from app.web.admission import Admission
from tests import drawn_photos
from tests.web.conftest import connect, log_in, new_key
from tests.web.test_predict import RUSTY, sent

FILES = [("image", sent(RUSTY))]


def test_what_is_over_the_limit_is_told_when_to_return() -> None:
    admission = Admission(max_requests=2, max_bytes=1000)
    with admission.working(), admission.working():
        with pytest.raises(Busy) as refused, admission.working():
            pass
        with pytest.raises(Busy), admission.reading():
            pass
    assert refused.value.headers["Retry-After"] == "1"
    assert admission.num_refused == 2
    with admission.working():
        assert admission.num_requests == 1


def test_bytes_are_given_back_when_a_request_ends_however_it_ends() -> None:
    admission = Admission(max_requests=2, max_bytes=1000)
    with admission.reading() as reservation:
        reservation.grow(900)
        with admission.reading() as other, pytest.raises(Busy):
            other.grow(200)
        assert admission.num_bytes == 900
    assert admission.num_bytes == 0


class TestSmallQueue:
    """A service with room for few."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_queue": 1})

    async def test_a_flood_is_answered_or_refused_with_a_time_to_return(
        self, client: httpx.AsyncClient, app: FastAPI
    ) -> None:
        answers = await asyncio.gather(*(client.post("/predict", files=FILES) for _ in range(40)))
        codes = [answer.status_code for answer in answers]
        assert set(codes) == {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
                assert answer.json()["type"] == "/problems/busy"
        assert (await client.post("/predict", files=FILES)).status_code == 200
        assert app.state.answering.admission.num_refused == codes.count(503)


class TestLowRate:
    """A service that takes few identifications from each."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"predict_rate": "4/hour"})

    async def test_headers_say_what_is_left_and_the_end_is_a_429(self, client: httpx.AsyncClient) -> None:
        for left in (3, 2, 1, 0):
            answer = await client.post("/predict", files=FILES)
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"predict";q=4;w=3600'
            assert answer.headers["ratelimit"].startswith(f'"predict";r={left};t=')
        refused = await client.post("/predict", files=FILES)
        assert refused.status_code == TooManyRequests.status
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        assert refused.headers["ratelimit"].startswith('"predict";r=0;')

    async def test_a_batch_counts_for_as_many_as_it_holds(self, client: httpx.AsyncClient) -> None:
        files = [("image", sent(drawn_photos.photo(size=(40, 32))))] * 5
        assert (await client.post("/predict/batch", files=files[:3])).status_code == 200
        assert (await client.post("/predict/batch", files=files[:3])).status_code == 429

    async def test_a_refused_batch_leaves_what_was_left(self, client: httpx.AsyncClient) -> None:
        assert (await client.post("/predict", files=FILES)).status_code == 200
        refused = await client.post("/predict/batch", files=FILES * 4)
        assert refused.status_code == TooManyRequests.status
        assert refused.headers["ratelimit"].startswith('"predict";r=3;t=')
        for left in (2, 1, 0):
            answer = await client.post("/predict", files=FILES)
            assert answer.status_code == 200
            assert answer.headers["ratelimit"].startswith(f'"predict";r={left};t=')

    async def test_a_batch_that_can_never_pass_is_told_so_and_not_to_come_back(
        self, client: httpx.AsyncClient
    ) -> None:
        refused = await client.post("/predict/batch", files=FILES * 5)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-field")
        assert refused.json()["detail"] == "image: at most 4 photos in a batch here"
        assert "retry-after" not in refused.headers
        assert (await client.post("/predict/batch", files=FILES * 4)).status_code == 200

    async def test_a_key_has_a_count_of_its_own(self, client: httpx.AsyncClient, app: FastAPI) -> None:
        for _ in range(5):
            await client.post("/predict", files=FILES)
        async with connect(app, Authorization=f"Bearer {await new_key(app, 'predict')}") as program:
            assert (await program.post("/predict", files=FILES)).status_code == 200


class TestClosed:
    """A service that identifies for accounts and keys only."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"public_identify": False})

    async def test_who_may_identify(self, client: httpx.AsyncClient, app: FastAPI) -> None:
        assert (await client.post("/predict", files=FILES)).status_code == 401
        assert (await client.post("/predict/batch", files=FILES)).status_code == 401
        async with connect(app, Authorization="Bearer nonsense") as stranger:
            assert (await stranger.post("/predict", files=FILES)).status_code == 401
        async with connect(app, Authorization=f"Bearer {await new_key(app, 'predict')}") as program:
            answer = await program.post("/predict", files=FILES)
            assert answer.status_code == 200
            photo = f"/photos/{answer.json()['id']}/0"
            assert (await program.get(photo)).status_code == 200
        assert (await client.get(photo)).status_code == 401
        async with connect(app) as browser:
            await log_in(browser, app, "dora", Role.VIEWER)
            assert (await browser.post("/predict", files=FILES)).status_code == 200


async def test_a_full_disk_is_a_507_and_nothing_is_saved(
    client: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("app.services.photo_files._write_durably", full)
    answer = await client.post("/predict", files=FILES)
    assert answer.status_code == 507
    assert answer.json()["type"] == "/problems/disk-full"
    monkeypatch.undo()
    assert (await client.post("/predict", files=FILES)).status_code == 200
