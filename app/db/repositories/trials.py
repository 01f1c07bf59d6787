"""Evaluations on uploaded photos. Every change is guarded: what is over stays over, and one process works on each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.trial_tables import TrialRow, TrialState

OPEN = (TrialState.WAITING, TrialState.RUNNING)


async def by_id(session: AsyncSession, trial_id: UUID) -> TrialRow | None:
    """One trial, as it is in the database now."""
    query = select(TrialRow).where(TrialRow.id == trial_id)
    found: TrialRow | None = await session.scalar(query.execution_options(populate_existing=True))
    return found


async def newest(session: AsyncSession, *wanted: ColumnElement[bool], limit: int) -> Sequence[TrialRow]:
    """Trials, newest first."""
    query = select(TrialRow).where(*wanted).order_by(TrialRow.created_at.desc(), TrialRow.id).limit(limit)
    return (await session.scalars(query)).all()


async def num_open(session: AsyncSession) -> int:
    """Trials that wait or run."""
    query = select(func.count()).select_from(TrialRow).where(TrialRow.state.in_(OPEN))
    return await session.scalar(query) or 0


async def open_trials(session: AsyncSession) -> Sequence[TrialRow]:
    """Trials that wait or run, oldest first."""
    query = select(TrialRow).where(TrialRow.state.in_(OPEN)).order_by(TrialRow.created_at, TrialRow.id)
    return (await session.scalars(query)).all()


async def lease(session: AsyncSession, trial_id: UUID, worker: UUID, now: datetime, until: datetime) -> bool:
    """Take a trial, or keep it. False when somebody else has it, or it is over."""
    free = or_(TrialRow.worker == worker, TrialRow.leased_until.is_(None), TrialRow.leased_until < now)
    return await _change(session, trial_id, free, worker=worker, leased_until=until)


async def advance(session: AsyncSession, trial_id: UUID, worker: UUID, **values: Any) -> bool:
    """Say how far the worker is, or how it ended. False when it is not the worker's any more."""
    return await _change(session, trial_id, TrialRow.worker == worker, **values)


async def end(session: AsyncSession, trial_id: UUID, **values: Any) -> bool:
    """End a trial, whoever works on it. False when it is over already."""
    return await _change(session, trial_id, **values)


async def _change(session: AsyncSession, trial_id: UUID, *guards: ColumnElement[bool], **values: Any) -> bool:
    changed = await session.execute(
        update(TrialRow)
        .where(TrialRow.id == trial_id, TrialRow.state.in_(OPEN), *guards)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    return changed.rowcount == 1
