"""What running processes say of themselves: kept, read, forgotten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.trial_tables import ReplicaRow


async def report(session: AsyncSession, replica: ReplicaRow) -> None:
    """Keep what a replica says, in place of what it said before."""
    said: dict[str, Any] = {"seen_at": replica.seen_at, "state": replica.state}
    changed = await session.execute(update(ReplicaRow).where(ReplicaRow.id == replica.id).values(**said))
    assert isinstance(changed, CursorResult)
    if not changed.rowcount:
        session.add(replica)
        await session.flush()


async def seen_since(session: AsyncSession, since: datetime) -> Sequence[ReplicaRow]:
    """Replicas that said something since then, by host and start."""
    query = select(ReplicaRow).where(ReplicaRow.seen_at >= since)
    return (await session.scalars(query.order_by(ReplicaRow.host, ReplicaRow.started_at))).all()


async def forget(session: AsyncSession, replica_id: UUID) -> None:
    """A replica that left."""
    await session.execute(delete(ReplicaRow).where(ReplicaRow.id == replica_id))


async def forget_silent(session: AsyncSession, since: datetime) -> None:
    """Replicas that said nothing since then: they were killed."""
    await session.execute(delete(ReplicaRow).where(ReplicaRow.seen_at < since))
