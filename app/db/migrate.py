"""Brings a database to the newest tables, once, however many processes start at the same time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import checklist_table
from app.db.session import lock_connection

TABLES = (checklist_table.ChecklistRow,)
"""Tables beside ``app.db.tables``: importing them makes them part of the metadata."""

_MIGRATIONS = Path(__file__).parents[2] / "migrations"


class MigrationError(RuntimeError):
    """The database cannot be brought to the newest tables; the message says what to do."""


def migration_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """The revision that this code needs."""
    head = ScriptDirectory.from_config(migration_config()).get_current_head()
    assert head is not None
    return head


async def upgrade(engine: AsyncEngine) -> tuple[str | None, str]:
    """Migrate in one transaction, under a lock. The revisions before and after. Raises MigrationError."""
    async with engine.begin() as connection:
        return await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    lock_connection(connection)
    before, after = _revision(connection), newest_revision()
    if before != after:
        try:
            command.upgrade(migration_config(connection), "head")
        except CommandError as error:
            raise MigrationError(
                f"The database is at revision {before}, which this version of Lighttrap does not know: "
                "it was made by a newer one. Start that one, or give another database."
            ) from error
    return before, after


async def check_revision(engine: AsyncEngine) -> None:
    """Raises MigrationError unless the database has the tables that this code needs."""
    async with engine.connect() as connection:
        present = await connection.run_sync(_revision)
    if present != newest_revision():
        raise MigrationError(
            f"The database is at revision {present or 'none'}, this version of Lighttrap needs "
            f"{newest_revision()}: run `python -m app db upgrade`."
        )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
