"""Engines and session factories for SQLite and PostgreSQL. Knows no table.

Both databases read what was last committed, statement by statement, and lock at the first write.
"""

from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy import create_engine as _create_sync_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.ext.asyncio import create_async_engine as _create_async_engine

from app.errors import AppError, Busy, DiskFull, InvalidField

Sessions: TypeAlias = async_sessionmaker[AsyncSession]
"""What makes sessions; ``async with sessions() as session`` rolls back unless it was committed."""

_BUSY_TIMEOUT_MS = 10_000
_SILENT = {"hide_parameters": True}
"""Errors go into the log with their statement, not with the hashes and answers that were its values."""
_READS = ("SELECT", "PRAGMA", "EXPLAIN", "BEGIN")
_STARTUP_LOCK = 0x4C69_6768_7474_7261  # "Lighttra": any number that no other program of the database uses


def create_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine for ``sqlite+aiosqlite://`` or ``postgresql+psycopg://``."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = _create_async_engine(url, pool_size=pool_size, max_overflow=pool_size, **_SILENT)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "before_cursor_execute", _begin_at_first_write)
        return engine
    return _create_async_engine(
        url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, **_SILENT
    )


def create_sync_engine(url: str) -> Engine:
    """The same for a thread of its own: one connection, with the same promises."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = _create_sync_engine(url.replace("sqlite+aiosqlite:", "sqlite:", 1), **_SILENT)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "before_cursor_execute", _begin_at_first_write)
        return engine
    return _create_sync_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True, **_SILENT)


def create_sessions(engine: AsyncEngine) -> Sessions:
    """A factory whose rows stay readable after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def lock_database(session: AsyncSession) -> None:
    """Let nobody else who calls this (SQLite: nobody else who writes) pass until this transaction ends."""
    await (await session.connection()).run_sync(lock_connection)


def lock_connection(connection: Connection) -> None:
    """What ``lock_database`` does, for a connection without a session (migrations)."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _STARTUP_LOCK})
        return
    _begin_writing(connection)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver begins transactions by itself and late; we begin them, see below.
    connection.isolation_level = None
    cursor = connection.cursor()
    # FULL: a commit that was answered survives a power cut. WAL: readers never wait for the writer.
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_at_first_write(connection: Connection, _cursor: Any, statement: str, *_: object) -> None:
    # A transaction that reads first and writes later fails at once ("database is locked", whatever the
    # timeout) when another one committed in between. So: take the write lock with the first write, and wait.
    if statement.lstrip()[:8].upper().startswith(_READS):
        return
    _begin_writing(connection)


def _begin_writing(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def refusal_of(error: BaseException) -> AppError | None:
    """What a database's failure means for the one who asked: a full disk, or nothing free now. Else None."""
    if isinstance(error, PoolTimeout):
        return Busy("Every database connection is taken.", retry_after_s=2)
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error, DataError):
        return InvalidField("A field holds a character or a number that cannot be stored.")
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", "")
    if code in ("53100", "SQLITE_FULL"):
        return DiskFull("The database's disk is full: nothing was saved.")
    if (
        error.connection_invalidated
        or code in ("SQLITE_BUSY", "SQLITE_LOCKED")
        or str(code)[:2] in ("08", "53", "57")
    ):
        return Busy("The database cannot answer right now.", retry_after_s=2)
    if isinstance(error, OperationalError) and code in (None, ""):  # PostgreSQL: could not even connect
        return Busy("The database cannot be reached.", retry_after_s=5)
    return None
