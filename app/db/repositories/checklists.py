"""Queries about checklists."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.checklist_table import ChecklistRow


async def active_ids(session: AsyncSession) -> set[UUID]:
    """The lists in use, of every model."""
    return set(await session.scalars(select(ChecklistRow.id).where(ChecklistRow.ended_at.is_(None))))


async def with_ids(session: AsyncSession, ids: Collection[UUID]) -> list[ChecklistRow]:
    """These lists, in no particular order."""
    return list(await session.scalars(select(ChecklistRow).where(ChecklistRow.id.in_(ids))))


async def of_model(session: AsyncSession, model: str, *, ended: bool = False) -> list[ChecklistRow]:
    """The lists of a model in use, or all that ever were, by name, newest revision first."""
    query = select(ChecklistRow).where(ChecklistRow.model == model)
    if not ended:
        query = query.where(ChecklistRow.ended_at.is_(None))
    return list(await session.scalars(query.order_by(ChecklistRow.name, ChecklistRow.revision.desc())))


async def by_id(session: AsyncSession, model: str, list_id: UUID) -> ChecklistRow | None:
    """One list of a model, in use or not."""
    query = select(ChecklistRow).where(ChecklistRow.id == list_id, ChecklistRow.model == model)
    found: ChecklistRow | None = await session.scalar(query)
    return found


async def newest_revision(session: AsyncSession, model: str, name: str) -> int:
    """The highest revision that a name ever had; 0 for a new name."""
    query = select(func.max(ChecklistRow.revision)).where(
        ChecklistRow.model == model, ChecklistRow.name == name
    )
    return await session.scalar(query) or 0


async def end(session: AsyncSession, list_id: UUID, actor: str, now: datetime) -> bool:
    """Use a list no more. False when it was not in use: of two at once, one gets True."""
    result = await session.execute(
        update(ChecklistRow)
        .where(ChecklistRow.id == list_id, ChecklistRow.ended_at.is_(None))
        .values(ended_by=actor, ended_at=now)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
