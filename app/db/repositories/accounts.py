"""Queries about accounts, logins, set-up tokens and keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import ApiKeyRow, LoginRow, Role, SetupTokenRow, UserRow


async def user_by_name(session: AsyncSession, name: str) -> UserRow | None:
    """The account with this name, in lower case."""
    return await session.scalar(select(UserRow).where(UserRow.name == name))


async def num_admins(session: AsyncSession) -> int:
    """How many admins there are."""
    return (
        await session.scalar(select(func.count()).select_from(UserRow).where(UserRow.role == Role.ADMIN)) or 0
    )


async def login_by_hash(session: AsyncSession, sha256: str, now: datetime) -> LoginRow | None:
    """A login that is neither over nor revoked, with its account."""
    return await session.scalar(
        select(LoginRow).where(
            LoginRow.token_sha256 == sha256, LoginRow.expires_at > now, LoginRow.revoked_at.is_(None)
        )
    )


async def revoke_login(session: AsyncSession, sha256: str, now: datetime) -> None:
    """End one login."""
    await session.execute(
        update(LoginRow)
        .where(LoginRow.token_sha256 == sha256, LoginRow.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def refresh_login(session: AsyncSession, sha256: str, now: datetime) -> None:
    """Note that the password was given again."""
    await session.execute(
        update(LoginRow).where(LoginRow.token_sha256 == sha256).values(authenticated_at=now)
    )


async def forget_logins_before(session: AsyncSession, when: datetime) -> None:
    """Delete logins that ended before then."""
    await session.execute(delete(LoginRow).where(LoginRow.expires_at < when))


async def num_unused_setup_tokens(session: AsyncSession) -> int:
    """How many set-up tokens could still be used."""
    unused = select(func.count()).select_from(SetupTokenRow).where(SetupTokenRow.used_at.is_(None))
    return await session.scalar(unused) or 0


async def setup_token_is_unused(session: AsyncSession, sha256: str) -> bool:
    """Whether this set-up token exists and was not used."""
    row = await session.scalar(
        select(SetupTokenRow).where(SetupTokenRow.sha256 == sha256, SetupTokenRow.used_at.is_(None))
    )
    return row is not None


async def use_setup_token(session: AsyncSession, sha256: str, now: datetime) -> bool:
    """Use a set-up token up. False when it does not exist or was used: of two at once, one gets True."""
    result = await session.execute(
        update(SetupTokenRow)
        .where(SetupTokenRow.sha256 == sha256, SetupTokenRow.used_at.is_(None))
        .values(used_at=now)
    )
    assert isinstance(result, CursorResult)
    return bool(result.rowcount)


async def forget_unused_setup_tokens(session: AsyncSession) -> None:
    """Delete the set-up tokens that were not used."""
    await session.execute(delete(SetupTokenRow).where(SetupTokenRow.used_at.is_(None)))


async def key_by_hash(session: AsyncSession, sha256: str, now: datetime) -> ApiKeyRow | None:
    """A key that is neither expired nor revoked."""
    row = await session.scalar(
        select(ApiKeyRow).where(ApiKeyRow.sha256 == sha256, ApiKeyRow.revoked_at.is_(None))
    )
    return row if row is not None and (row.expires_at is None or row.expires_at > now) else None


async def list_keys(session: AsyncSession) -> list[ApiKeyRow]:
    """All keys, oldest first."""
    return list(await session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id)))


async def touch_key(session: AsyncSession, key_id: UUID, now: datetime) -> None:
    """Note that a key was used."""
    await session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(last_used_at=now))


async def revoke_key(session: AsyncSession, key_id: UUID, now: datetime) -> bool:
    """Revoke a key. False when there is none to revoke."""
    result = await session.execute(
        update(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.revoked_at.is_(None)).values(revoked_at=now)
    )
    assert isinstance(result, CursorResult)
    return bool(result.rowcount)
