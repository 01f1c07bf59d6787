"""Queries about species lists."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.list_tables import SpeciesListRow


async def active_ids(session: AsyncSession) -> set[UUID]:
    """The lists in use, of every model."""
    return set(await session.scalars(select(SpeciesListRow.id).where(SpeciesListRow.ended_at.is_(None))))


async def with_ids(session: AsyncSession, ids: Collection[UUID]) -> list[SpeciesListRow]:
    """These lists, in no particular order."""
    return list(await session.scalars(select(SpeciesListRow).where(SpeciesListRow.id.in_(ids))))


async def of_model(session: AsyncSession, model: str, *, ended: bool = False) -> list[SpeciesListRow]:
    """The lists of a model in use, or all that ever were, by name, newest revision first."""
    query = select(SpeciesListRow).where(SpeciesListRow.model == model)
    if not ended:
        query = query.where(SpeciesListRow.ended_at.is_(None))
    return list(await session.scalars(query.order_by(SpeciesListRow.name, SpeciesListRow.revision.desc())))


async def by_id(session: AsyncSession, model: str, list_id: UUID) -> SpeciesListRow | None:
    """One list of a model, in use or not."""
    query = select(SpeciesListRow).where(SpeciesListRow.id == list_id, SpeciesListRow.model == model)
    found: SpeciesListRow | None = await session.scalar(query)
    return found


async def newest_revision(session: AsyncSession, model: str, name: str) -> int:
    """The highest revision that a name ever had; 0 for a new name."""
    query = select(func.max(SpeciesListRow.revision)).where(
        SpeciesListRow.model == model, SpeciesListRow.name == name
    )
    return await session.scalar(query) or 0


async def end(session: AsyncSession, list_id: UUID, actor: str, now: datetime) -> bool:
    """Use a list no more. False when it was not in use: of two at once, one gets True."""
    result = await session.execute(
        update(SpeciesListRow)
        .where(SpeciesListRow.id == list_id, SpeciesListRow.ended_at.is_(None))
        .values(ended_by=actor, ended_at=now)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
