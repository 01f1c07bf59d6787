"""What identifications cost their caller, in a process's memory and in the database that replicas share."""

import asyncio

import pytest
from limits.aio.storage import MemoryStorage, Storage

from app.db.rates import DatabaseStorage
from app.db.session import Sessions
from app.errors import AppError, InvalidField, TooManyRequests
from app.web.rate_limit import CallerRate


@pytest.fixture(params=["memory", "database"])
def storage(request: pytest.FixtureRequest, sessions: Sessions) -> Storage:
    return MemoryStorage() if request.param == "memory" else DatabaseStorage(sessions)


async def outcome(rate: CallerRate, cost: int, counted: int = 0) -> type[AppError] | str:
    """How many are left, or the kind of the refusal."""
    try:
        headers = await rate.hit("ana", cost, counted=counted)
    except AppError as refused:
        return type(refused)
    return headers["RateLimit"].split(";")[1]


async def test_what_is_refused_costs_nothing(storage: Storage) -> None:
    rate = CallerRate(storage, "predict", "20/minute")
    assert await outcome(rate, 1) == "r=19"
    assert await outcome(rate, 20) is TooManyRequests
    assert await outcome(rate, 19) == "r=0"
    assert await outcome(rate, 1) is TooManyRequests


async def test_what_was_counted_before_a_refusal_is_given_back(storage: Storage) -> None:
    rate = CallerRate(storage, "predict", "20/minute")
    for cost, kind in ((20, TooManyRequests), (21, InvalidField)):
        assert await outcome(rate, 1) == "r=19"
        assert await outcome(rate, 1) == "r=18"
        assert await outcome(rate, cost, counted=1) is kind
        await rate.give_back("ana", 1)
    assert await outcome(rate, 20) == "r=0"


async def test_more_than_the_whole_rate_never_passes_and_is_not_told_to_come_back(storage: Storage) -> None:
    rate = CallerRate(storage, "predict", "20/minute")
    with pytest.raises(InvalidField, match="at most 20 photos in a batch here") as refused:
        await rate.hit("ana", 21)
    assert "Retry-After" not in refused.value.headers
    assert await outcome(rate, 20) == "r=0"


async def test_a_window_that_ended_gives_nothing_back(storage: Storage) -> None:
    rate = CallerRate(storage, "predict", "20/second")
    assert await outcome(rate, 5) == "r=15"
    await asyncio.sleep(1.1)
    await rate.give_back("ana", 5)
    assert await outcome(rate, 20) == "r=0"


async def test_nothing_is_counted_below_zero_however_late_it_is_given_back(sessions: Sessions) -> None:
    storage = DatabaseStorage(sessions)
    assert await storage.incr("key", 60, -3) == 0
    assert await storage.incr("key", 60, 2) == 2
    assert await storage.incr("key", 60, -3) == 0
    assert await storage.incr("other", 1, 5) == 5
    await asyncio.sleep(1.1)
    assert await storage.incr("other", 60, -5) == 0


async def test_of_two_batches_at_once_the_one_that_is_refused_costs_nothing(storage: Storage) -> None:
    replicas = [CallerRate(storage, "predict", "20/minute") for _ in range(2)]
    outcomes = await asyncio.gather(*(outcome(replica, 15) for replica in replicas))
    assert set(outcomes) == {"r=5", TooManyRequests}
    assert await outcome(replicas[0], 5) == "r=0"
