import asyncio
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from app.db.session import Sessions, create_engine, create_sessions, lock_database, refusal_of
from app.db.tables import AliasRow, ModelRow, Table
from app.errors import Busy, DiskFull, InvalidField


async def test_times_come_back_aware_and_in_utc(sessions: Sessions) -> None:
    noon_in_berlin = datetime(2026, 6, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    async with sessions() as session:
        session.add(ModelRow(name="a", created_at=noon_in_berlin))
        await session.commit()
    async with sessions() as session:
        row = await session.get_one(ModelRow, "a")
    assert row.created_at == noon_in_berlin
    assert row.created_at.tzinfo is UTC


async def test_a_time_without_a_zone_is_not_stored(sessions: Sessions) -> None:
    async with sessions() as session:
        session.add(ModelRow(name="a", created_at=datetime(2026, 6, 1, 12)))
        with pytest.raises(StatementError, match="no time zone"):
            await session.flush()


async def test_references_are_enforced(sessions: Sessions) -> None:
    async with sessions() as session:
        session.add(AliasRow(model="nobody", version="1.0.0", epoch=1))
        with pytest.raises(IntegrityError):
            await session.flush()


async def test_who_read_may_still_write_after_another_has_committed(sessions: Sessions) -> None:
    async with sessions() as slow, sessions() as fast:
        assert (await slow.scalars(select(ModelRow))).all() == []
        fast.add(ModelRow(name="fast"))
        await fast.commit()
        slow.add(ModelRow(name="slow"))
        await slow.commit()
    async with sessions() as session:
        assert sorted(await session.scalars(select(ModelRow.name))) == ["fast", "slow"]


async def test_what_was_not_committed_is_gone(sessions: Sessions) -> None:
    async with sessions() as session:
        session.add(ModelRow(name="a"))
        await session.flush()
    async with sessions() as session:
        assert (await session.scalars(select(ModelRow))).all() == []


async def test_many_writers_wait_for_each_other(sessions: Sessions) -> None:
    async def write(name: str) -> None:
        async with sessions() as session:
            await session.scalars(select(ModelRow))
            session.add(ModelRow(name=name))
            await session.commit()

    await asyncio.gather(*(write(f"m{number}") for number in range(40)))
    async with sessions() as session:
        assert len((await session.scalars(select(ModelRow))).all()) == 40


async def test_the_lock_lets_one_through_at_a_time(sessions: Sessions) -> None:
    inside: list[int] = []

    async def pass_through() -> None:
        async with sessions() as session:
            await lock_database(session)
            inside.append(1)
            assert sum(inside) == 1
            await asyncio.sleep(0.01)
            inside.pop()
            await session.commit()

    await asyncio.gather(*(pass_through() for _ in range(5)))


async def test_sqlite_keeps_what_it_promised_over_a_power_cut(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    async with engine.connect() as connection:
        told = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    await engine.dispose()
    assert told == ["wal", 2, 1]


async def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    async with engine.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
        await connection.execute(text(f"PRAGMA max_page_count={pages}"))
        rows = [{"key": f"{number:0390}"} for number in range(1000)]
        with pytest.raises(DBAPIError) as full:
            await connection.execute(text("INSERT INTO rate VALUES (:key, 1, '2026-01-01')"), rows)
    await engine.dispose()
    assert isinstance(refusal_of(full.value), DiskFull)


async def test_an_unreachable_database_means_come_back_later(tmp_path: Path) -> None:
    engine = create_engine(f"postgresql+psycopg:///none?host={tmp_path}")
    with pytest.raises(DBAPIError) as unreachable:
        async with create_sessions(engine)() as session:
            await session.execute(select(1))
    await engine.dispose()
    refusal = refusal_of(unreachable.value)
    assert isinstance(refusal, Busy)
    assert int(refusal.headers["Retry-After"]) > 0


async def test_what_a_database_cannot_store_is_a_bad_field(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    with pytest.raises(DBAPIError) as refused:
        async with create_sessions(engine)() as session:
            await session.execute(select(text(":value")), {"value": "\x00"})
    await engine.dispose()
    assert isinstance(refusal_of(refused.value), InvalidField)


def test_other_errors_are_not_blamed_on_the_database() -> None:
    assert refusal_of(ValueError("nothing to do with it")) is None


async def test_an_error_does_not_tell_what_was_to_be_stored(sessions: Sessions) -> None:
    async with sessions() as session:
        session.add(AliasRow(model="a secret", version="1.0.0", epoch=1))
        with pytest.raises(IntegrityError) as refused:
            await session.flush()
    said = str(refused.value).partition("[SQL")
    assert ("a secret" in said[2], "INSERT" in said[2]) == (False, True)
