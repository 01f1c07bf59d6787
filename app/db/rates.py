"""Counters for rate limits, in the database: every replica counts the same attempts."""

import time
from datetime import UTC, datetime, timedelta

from limits.aio.storage import Storage
from sqlalchemy import case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Sessions
from app.db.tables import RateRow, utc_now


class DatabaseStorage(Storage):
    """What ``limits`` needs for fixed windows. Each count is a short transaction of its own."""

    STORAGE_SCHEME = None

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()
        self._sessions = sessions
        self._swept_at = 0.0

    @property
    def base_exceptions(self) -> type[Exception]:
        """What this storage raises when it fails."""
        return SQLAlchemyError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count ``amount`` more, in the window that is open or in a new one of ``expiry`` seconds.

        Less than none is never counted: a negative amount gives back what an open window has, and a new one nothing.
        """
        async with self._sessions() as session:
            count = await _count(session, key, utc_now(), timedelta(seconds=expiry), amount)
            await self._sweep(session)
            await session.commit()
        return count

    async def get(self, key: str) -> int:
        """The count of the window that is open."""
        async with self._sessions() as session:
            row = await session.get(RateRow, key)
        return row.count if row is not None and row.expires_at > utc_now() else 0

    async def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since 1970."""
        async with self._sessions() as session:
            row = await session.get(RateRow, key)
        return row.expires_at.timestamp() if row is not None else time.time()

    async def check(self) -> bool:
        """Whether the database answers."""
        async with self._sessions() as session:
            await session.execute(select(1))
        return True

    async def reset(self) -> int | None:
        """Forget every count."""
        async with self._sessions() as session:
            await session.execute(delete(RateRow))
            await session.commit()
        return None

    async def clear(self, key: str) -> None:
        """Forget one count."""
        async with self._sessions() as session:
            await session.execute(delete(RateRow).where(RateRow.key == key))
            await session.commit()

    async def _sweep(self, session: AsyncSession) -> None:
        """Delete, once a minute, the windows that ended."""
        if time.monotonic() - self._swept_at > 60:
            self._swept_at = time.monotonic()
            await session.execute(delete(RateRow).where(RateRow.expires_at < datetime.now(UTC)))


async def _count(session: AsyncSession, key: str, now: datetime, lasts: timedelta, amount: int) -> int:
    """Add to a counter or begin it anew, in one statement: two at once are both counted. Never below zero."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    insert = (sqlite.insert if is_sqlite else postgresql.insert)(RateRow)
    is_open, total, begun = RateRow.expires_at > now, RateRow.count + amount, max(0, amount)
    statement = (
        insert.values(key=key, count=begun, expires_at=now + lasts)
        .on_conflict_do_update(
            index_elements=[RateRow.key],
            set_={
                "count": case((is_open & (total > 0), total), (is_open, 0), else_=begun),
                "expires_at": case((is_open, RateRow.expires_at), else_=now + lasts),
            },
        )
        .returning(RateRow.count)
    )
    count = await session.scalar(statement)
    assert count is not None
    return count
