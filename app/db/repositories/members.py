"""Queries about who belongs here: accounts and their roles, their logins, invitations."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import InvitationRow, LoginRow, Role, UserRow


async def list_users(session: AsyncSession) -> list[UserRow]:
    """All accounts, by name."""
    return list(await session.scalars(select(UserRow).order_by(UserRow.name)))


async def set_role(session: AsyncSession, user_id: UUID, role: Role) -> None:
    """Give an account another role."""
    await session.execute(update(UserRow).where(UserRow.id == user_id).values(role=role))


async def remove_user(session: AsyncSession, user_id: UUID) -> None:
    """Delete an account and its logins. What it identified stays, without its name."""
    await session.execute(delete(UserRow).where(UserRow.id == user_id))


async def logins_of(session: AsyncSession, user_id: UUID, now: datetime) -> list[LoginRow]:
    """The logins of an account that are not over, newest first."""
    query = select(LoginRow).where(
        LoginRow.user_id == user_id, LoginRow.expires_at > now, LoginRow.revoked_at.is_(None)
    )
    return list(await session.scalars(query.order_by(LoginRow.created_at.desc(), LoginRow.token_sha256)))


async def revoke_logins(
    session: AsyncSession, user_id: UUID, now: datetime, *, only: str | None = None, but: str | None = None
) -> int:
    """End logins of an account: the one whose hash begins with ``only``, or all but one. How many it were."""
    query = update(LoginRow).where(LoginRow.user_id == user_id, LoginRow.revoked_at.is_(None))
    if only is not None:
        query = query.where(LoginRow.token_sha256.startswith(only, autoescape=True))
    if but is not None:
        query = query.where(LoginRow.token_sha256 != but)
    result = await session.execute(query.values(revoked_at=now).execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    return result.rowcount


async def open_invitations(session: AsyncSession, now: datetime) -> list[InvitationRow]:
    """Invitations that somebody could still accept, oldest first."""
    query = select(InvitationRow).where(
        InvitationRow.used_at.is_(None), InvitationRow.revoked_at.is_(None), InvitationRow.expires_at > now
    )
    return list(await session.scalars(query.order_by(InvitationRow.created_at, InvitationRow.id)))


async def invitation_by_hash(session: AsyncSession, sha256: str, now: datetime) -> InvitationRow | None:
    """An invitation that somebody could still accept."""
    return await session.scalar(
        select(InvitationRow).where(
            InvitationRow.sha256 == sha256,
            InvitationRow.used_at.is_(None),
            InvitationRow.revoked_at.is_(None),
            InvitationRow.expires_at > now,
        )
    )


async def end_invitation(session: AsyncSession, invitation_id: UUID, now: datetime, *, used: bool) -> bool:
    """Use an invitation up, or revoke it. False when it was used or revoked: of two at once, one gets True."""
    result = await session.execute(
        update(InvitationRow)
        .where(
            InvitationRow.id == invitation_id,
            InvitationRow.used_at.is_(None),
            InvitationRow.revoked_at.is_(None),
        )
        .values({"used_at" if used else "revoked_at": now})
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return bool(result.rowcount)
