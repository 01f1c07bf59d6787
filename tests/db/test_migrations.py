import asyncio

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from app.db.migrate import MigrationError, check_revision, migration_config, newest_revision, upgrade
from app.db.session import create_engine
from app.db.tables import Table


async def test_migrations_make_exactly_the_tables_of_the_code(database_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Table.metadata))

    engine = create_engine(database_url)
    await upgrade(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_a_second_migration_changes_nothing(database_url: str) -> None:
    engine = create_engine(database_url)
    assert await upgrade(engine) == (None, newest_revision())
    assert await upgrade(engine) == (newest_revision(), newest_revision())
    await check_revision(engine)
    await engine.dispose()


async def test_processes_that_start_together_migrate_once(database_url: str) -> None:
    engines = [create_engine(database_url) for _ in range(4)]
    outcomes = await asyncio.gather(*(upgrade(engine) for engine in engines))
    assert sorted(before or "" for before, _ in outcomes) == ["", *[newest_revision()] * 3]
    for engine in engines:
        await engine.dispose()


async def test_a_database_without_tables_is_not_served(database_url: str) -> None:
    engine = create_engine(database_url)
    with pytest.raises(MigrationError, match="python -m app db upgrade"):
        await check_revision(engine)
    await engine.dispose()


async def test_the_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    engine = create_engine(database_url)
    await upgrade(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(MigrationError, match="made by a newer one"):
        await upgrade(engine)
    await engine.dispose()


async def test_every_migration_can_be_taken_back(database_url: str) -> None:
    engine = create_engine(database_url)
    await upgrade(engine)
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(migration_config(sync), "base"))
    async with engine.connect() as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["alembic_version"]
    await upgrade(engine)
    await engine.dispose()
