"""Identifications are kept in groups, and each is told what became of its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.db.keeper import IdentificationKeeper, Kept, NewIdentification, NewPhoto
from app.db.repositories import identifications
from app.db.session import Sessions
from app.db.tables import utc_now


def new(key: str | None = None, body: str | None = None, num_photos: int = 1) -> NewIdentification:
    identification_id = uuid4()
    return NewIdentification(
        id=identification_id,
        created_at=utc_now(),
        model="tiny-moths",
        version="1.0.0",
        sha256="a" * 64,
        epoch=1,
        user_id=None,
        is_anonymous=True,
        reliability=0.9,
        top_k=5,
        response=f'{{"id": "{identification_id}"}}',
        idempotency_scope=None if key is None else "address:x",
        idempotency_key=key,
        body_sha256=body,
        photos=tuple(NewPhoto(n, "b" * 64, 320, 240, "JPEG", None) for n in range(num_photos)),
    )


@pytest.fixture
async def keeper(database_url: str, sessions: Sessions) -> AsyncIterator[IdentificationKeeper]:
    """Keeps in the migrated database of ``sessions``."""
    keeper = IdentificationKeeper(database_url)
    yield keeper
    await keeper.close()


async def num_kept(sessions: Sessions) -> int:
    async with sessions() as session:
        return await identifications.count(session)


async def test_what_is_kept_is_read_back_as_it_was(keeper: IdentificationKeeper, sessions: Sessions) -> None:
    first = new(num_photos=3)
    assert await keeper.keep(first) == Kept(first.response, None)
    async with sessions() as session:
        row = await identifications.by_id(session, first.id)
        assert row is not None
        assert (row.response, row.created_at, row.reliability) == (first.response, first.created_at, 0.9)
        assert [photo.position for photo in row.photos] == [0, 1, 2]


async def test_many_at_once_are_all_kept_and_each_hears_of_its_own(
    keeper: IdentificationKeeper, sessions: Sessions
) -> None:
    group = [new(num_photos=number % 3 + 1) for number in range(150)]
    kept = await asyncio.gather(*map(keeper.keep, group))
    assert [each.response for each in kept] == [each.response for each in group]
    assert await num_kept(sessions) == 150


async def test_a_key_is_kept_once_and_the_others_of_its_group_are_kept(
    keeper: IdentificationKeeper, sessions: Sessions
) -> None:
    group = [new(), new("k", "one"), new("k", "one"), new("k", "two"), new("other", "x"), new()]
    kept = await asyncio.gather(*map(keeper.keep, group))
    assert len({each.response for each in kept[1:4]}) == 1
    assert len({each.body_sha256 for each in kept[1:4]}) == 1
    assert [kept[index].response for index in (0, 4, 5)] == [group[index].response for index in (0, 4, 5)]
    assert await num_kept(sessions) == 4


async def test_two_replicas_keep_the_same_keys_once(
    database_url: str, keeper: IdentificationKeeper, sessions: Sessions
) -> None:
    other = IdentificationKeeper(database_url)
    keys = [f"key-{number}" for number in range(20)]
    mine = [keeper.keep(new(key, "same")) for key in keys]
    theirs = [other.keep(new(key, "same")) for key in reversed(keys)]
    found = await asyncio.gather(*mine, *theirs)
    assert [each.response for each in found[:20]] == [each.response for each in found[20:]][::-1]
    assert await num_kept(sessions) == 20
    await other.close()


async def test_one_that_cannot_be_kept_costs_the_others_nothing(
    keeper: IdentificationKeeper, sessions: Sessions
) -> None:
    good, orphan = new(), replace(new(), user_id=uuid4())
    outcomes = await asyncio.gather(keeper.keep(good), keeper.keep(orphan), return_exceptions=True)
    assert outcomes[0] == Kept(good.response, None)
    assert isinstance(outcomes[1], IntegrityError)
    assert await num_kept(sessions) == 1


async def test_a_database_that_cannot_be_reached_is_told_to_everyone() -> None:
    keeper = IdentificationKeeper("postgresql+psycopg://moth@127.0.0.1:1/lighttrap")
    outcomes = await asyncio.gather(keeper.keep(new()), keeper.keep(new()), return_exceptions=True)
    assert all(isinstance(outcome, DBAPIError) for outcome in outcomes)
    await keeper.close()


async def test_closing_waits_for_what_is_being_kept(keeper: IdentificationKeeper, sessions: Sessions) -> None:
    keeping = [asyncio.create_task(keeper.keep(new())) for _ in range(5)]
    await asyncio.sleep(0)
    await keeper.close()
    await asyncio.gather(*keeping)
    assert await num_kept(sessions) == 5
