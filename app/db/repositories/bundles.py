"""Queries about who added which version, and whose signatures are trusted."""

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import AdditionRow, TrustedKeyRow


async def additions(session: AsyncSession, model: str) -> list[AdditionRow]:
    """Who added which version of a model, newest first."""
    query = select(AdditionRow).where(AdditionRow.model == model).order_by(AdditionRow.id.desc())
    return list(await session.scalars(query))


async def addition_of(session: AsyncSession, model: str, version: str) -> AdditionRow | None:
    """Who added a version; None where that was not kept yet."""
    query = select(AdditionRow).where(AdditionRow.model == model, AdditionRow.version == version)
    return await session.scalar(query)


async def trusted_keys(session: AsyncSession) -> list[TrustedKeyRow]:
    """Every trusted key, by name."""
    return list(await session.scalars(select(TrustedKeyRow).order_by(TrustedKeyRow.name)))


async def keys_by_fingerprint(session: AsyncSession) -> dict[str, TrustedKeyRow]:
    """Every trusted key."""
    return {row.fingerprint: row for row in await trusted_keys(session)}


async def trust_key(session: AsyncSession, row: TrustedKeyRow) -> bool:
    """Trust a key. False when it is trusted already."""
    if await session.get(TrustedKeyRow, row.fingerprint) is not None:
        return False
    session.add(row)
    await session.flush()
    return True


async def distrust_key(session: AsyncSession, fingerprint: str) -> bool:
    """Trust a key no more. False when it was not trusted."""
    result = await session.execute(delete(TrustedKeyRow).where(TrustedKeyRow.fingerprint == fingerprint))
    assert isinstance(result, CursorResult)
    return bool(result.rowcount)
