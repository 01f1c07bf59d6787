"""Engines and session factories for SQLite and PostgreSQL. Knows no table."""

from typing import Any, TypeAlias

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.ext.asyncio import create_async_engine as _create_async_engine

Sessions: TypeAlias = async_sessionmaker[AsyncSession]
"""What makes sessions; ``async with sessions() as session`` rolls back unless it was committed."""

_BUSY_TIMEOUT_MS = 10_000


def create_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine for ``sqlite+aiosqlite://`` or ``postgresql+psycopg://``."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = _create_async_engine(url)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    return _create_async_engine(url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True)


def create_sessions(engine: AsyncEngine) -> Sessions:
    """A factory whose rows stay readable after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin late, which lets one see two states: we begin them ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    # FULL: a commit that was answered survives a power cut. WAL: readers never wait for the writer.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")
