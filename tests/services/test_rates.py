import asyncio

import pytest

from app.db.rates import DatabaseStorage
from app.db.session import Sessions
from app.errors import TooManyRequests
from app.services.rates import RateLimit


async def outcome(rate: RateLimit, *subjects: str) -> bool:
    try:
        await rate.hit(*subjects)
    except TooManyRequests:
        return False
    return True


async def test_after_the_last_try_one_has_to_wait(sessions: Sessions) -> None:
    rate = RateLimit(DatabaseStorage(sessions), "login", "3/minute")
    assert [await outcome(rate, "ana") for _ in range(4)] == [True, True, True, False]
    assert await outcome(rate, "ben")


async def test_who_has_to_wait_is_told_how_long(sessions: Sessions) -> None:
    rate = RateLimit(DatabaseStorage(sessions), "login", "1/minute")
    await rate.hit("ana")
    with pytest.raises(TooManyRequests) as refused:
        await rate.hit("ana")
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 60


async def test_replicas_count_together_even_at_the_same_moment(sessions: Sessions) -> None:
    replicas = [RateLimit(DatabaseStorage(sessions), "login", "7/hour") for _ in range(2)]
    outcomes = await asyncio.gather(*(outcome(replicas[number % 2], "ana") for number in range(20)))
    assert sum(outcomes) == 7


async def test_either_subject_may_be_at_its_end(sessions: Sessions) -> None:
    rate = RateLimit(DatabaseStorage(sessions), "login", "2/minute")
    assert await outcome(rate, "address 1", "account ana")
    assert await outcome(rate, "address 2", "account ana")
    assert not await outcome(rate, "address 3", "account ana")


async def test_a_rate_can_be_a_multiple_of_another(sessions: Sessions) -> None:
    rate = RateLimit(DatabaseStorage(sessions), "account", "2/minute", times=3)
    assert [await outcome(rate, "ana") for _ in range(7)] == [True] * 6 + [False]


async def test_a_success_begins_anew(sessions: Sessions) -> None:
    rate = RateLimit(DatabaseStorage(sessions), "login", "1/minute")
    assert await outcome(rate, "ana")
    assert not await outcome(rate, "ana")
    await rate.forget("ana")
    assert await outcome(rate, "ana")


async def test_a_window_that_ended_counts_no_more(sessions: Sessions) -> None:
    storage = DatabaseStorage(sessions)
    assert await storage.incr("key", expiry=0) == 1
    assert await storage.get("key") == 0
    assert await storage.incr("key", expiry=60) == 1
    assert await storage.incr("key", expiry=60) == 2
    assert await storage.get("key") == 2


async def test_a_storage_can_be_asked_and_emptied(sessions: Sessions) -> None:
    storage = DatabaseStorage(sessions)
    await storage.incr("key", expiry=60)
    assert await storage.check()
    await storage.reset()
    assert await storage.get("key") == 0


@pytest.mark.parametrize("subject", ["a" * 100_000, "", "weiß \x00"])
async def test_whatever_is_typed_can_be_counted(sessions: Sessions, subject: str) -> None:
    assert await outcome(RateLimit(DatabaseStorage(sessions), "login", "1/minute"), subject)
