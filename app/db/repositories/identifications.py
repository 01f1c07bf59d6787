"""Identifications and their photos: what was answered, found by id, by Idempotency-Key, or newest first.

``app.db.keeper`` inserts them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import IdentificationRow, PhotoRow


async def by_key(session: AsyncSession, scope: str, key: str) -> IdentificationRow | None:
    """The identification that was made under an Idempotency-Key."""
    found: IdentificationRow | None = await session.scalar(
        select(IdentificationRow).where(
            IdentificationRow.idempotency_scope == scope, IdentificationRow.idempotency_key == key
        )
    )
    return found


async def by_id(session: AsyncSession, identification_id: UUID) -> IdentificationRow | None:
    """One identification with its photos."""
    return await session.get(IdentificationRow, identification_id)


async def photo(session: AsyncSession, identification_id: UUID, position: int) -> PhotoRow | None:
    """One photo of an identification; positions begin at 0."""
    return await session.get(PhotoRow, (identification_id, position))


async def newest(
    session: AsyncSession,
    *,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
    of_user: UUID | Literal["everybody"] | None = "everybody",
) -> Sequence[IdentificationRow]:
    """Identifications, newest first; ``before`` is time and id of the last one of the page above.

    ``of_user``: an account's own; None: those that nobody in particular made, neither with an account nor a key.
    """
    order = (IdentificationRow.created_at, IdentificationRow.id)
    query = select(IdentificationRow).order_by(order[0].desc(), order[1].desc()).limit(limit)
    if of_user != "everybody":
        own = IdentificationRow.user_id == of_user if of_user else IdentificationRow.is_anonymous
        query = query.where(own)
    if before is not None:
        query = query.where(tuple_(*order) < tuple_(*before))
    return (await session.scalars(query)).all()


async def count(session: AsyncSession) -> int:
    """How many there are."""
    return await session.scalar(select(func.count()).select_from(IdentificationRow)) or 0
