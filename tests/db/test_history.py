"""The history is append-only: the database itself refuses to change it, whoever asks."""

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.migrate import migration_config, upgrade
from app.db.session import Sessions, create_engine

ADD = """INSERT INTO promotion (model, from_version, to_version, epoch, kind, actor, reason, created_at)
    VALUES ('tiny', NULL, '1.0.0', :epoch, 'start', 'x', 'y', '2026-01-01')"""


async def add_one(sessions: Sessions) -> None:
    async with sessions() as session:
        await session.execute(text("INSERT INTO model VALUES ('tiny', '2026-01-01')"))
        await session.execute(
            text("INSERT INTO version VALUES ('tiny', '1.0.0', 'a', 'p', 't', 1, '[]', '2026-01-01')")
        )
        await session.execute(text(ADD), {"epoch": 1})
        await session.commit()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE promotion SET reason = 'another'",
        "UPDATE promotion SET actor = actor WHERE epoch = 1",
        "DELETE FROM promotion",
        "DELETE FROM promotion WHERE epoch = 1",
    ],
)
async def test_no_line_is_changed_or_deleted(sessions: Sessions, statement: str) -> None:
    await add_one(sessions)
    async with sessions() as session:
        with pytest.raises(DBAPIError, match="the history of promotions is append-only"):
            await session.execute(text(statement))
    async with sessions() as session:
        rows = (await session.execute(text("SELECT actor, reason FROM promotion"))).all()
    assert [tuple(row) for row in rows] == [("x", "y")]


async def test_more_lines_can_be_added(sessions: Sessions) -> None:
    await add_one(sessions)
    async with sessions() as session:
        await session.execute(text(ADD), {"epoch": 2})
        await session.commit()
        assert (await session.execute(text("SELECT count(*) FROM promotion"))).scalar_one() == 2


async def test_sqlite_replaces_no_line_either(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("db") / "a.db"
    engine = create_engine(f"sqlite+aiosqlite:///{path}")
    await upgrade(engine)
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO model VALUES ('tiny', '2026-01-01')"))
        await connection.execute(
            text("INSERT INTO version VALUES ('tiny', '1.0.0', 'a', 'p', 't', 1, '[]', '2026-01-01')")
        )
        await connection.execute(text(ADD), {"epoch": 1})
    for column in ("model, epoch", "id, model, epoch"):
        values = "'tiny', 1" if column == "model, epoch" else "1, 'tiny', 9"
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError, match="append-only"):
                await connection.execute(
                    text(
                        f"INSERT OR REPLACE INTO promotion ({column}, to_version, kind, actor, reason, created_at) "
                        f"VALUES ({values}, '1.0.0', 'start', 'z', 'z', '2026-01-01')"
                    )
                )
    await engine.dispose()


async def test_postgresql_truncates_nothing(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    await upgrade(engine)
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text("TRUNCATE promotion"))
    await engine.dispose()


async def test_an_older_history_is_kept_by_the_migration(database_url: str) -> None:
    engine = create_engine(database_url)
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(migration_config(sync), "0001"))
        await connection.execute(text("INSERT INTO model VALUES ('tiny', '2026-01-01')"))
        await connection.execute(
            text("INSERT INTO version VALUES ('tiny', '1.0.0', 'a', 'p', 't', 1, '[]', '2026-01-01')")
        )
        for epoch, actor in ((1, "first start"), (2, "ana")):
            await connection.execute(
                text(
                    "INSERT INTO promotion (model, to_version, epoch, actor, reason, created_at) "
                    "VALUES ('tiny', '1.0.0', :epoch, :actor, 'y', '2026-01-01')"
                ),
                {"epoch": epoch, "actor": actor},
            )
    await upgrade(engine)
    async with engine.begin() as connection:
        rows = await connection.execute(text("SELECT kind, actor, verdict FROM promotion ORDER BY epoch"))
        assert [tuple(row) for row in rows] == [("start", "first start", None), ("promotion", "ana", None)]
    await engine.dispose()


async def add_a_version(sessions: Sessions) -> None:
    async with sessions() as session:
        await session.execute(text("INSERT INTO model VALUES ('tiny', '2026-01-01')"))
        await session.execute(
            text("INSERT INTO version VALUES ('tiny', '1.0.0', 'a', 'p', 't', 1, '[]', '2026-01-01')")
        )
        await session.execute(
            text(
                "INSERT INTO addition (model, version, sha256, actor, created_at) "
                "VALUES ('tiny', '1.0.0', 'a', 'ana', '2026-01-01')"
            )
        )
        await session.commit()


@pytest.mark.parametrize("statement", ["UPDATE addition SET actor = 'ben'", "DELETE FROM addition"])
async def test_who_added_a_version_is_not_rewritten(sessions: Sessions, statement: str) -> None:
    await add_a_version(sessions)
    async with sessions() as session:
        with pytest.raises(DBAPIError, match="the history of added versions is append-only"):
            await session.execute(text(statement))
    async with sessions() as session:
        assert (await session.execute(text("SELECT actor FROM addition"))).scalar_one() == "ana"
