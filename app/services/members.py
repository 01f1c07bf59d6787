"""Who belongs here: invitations by link, roles, and the logins that can be ended from elsewhere."""

import secrets
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import accounts, members
from app.db.session import lock_database
from app.db.tables import InvitationRow, LoginRow, Role, UserRow, utc_now
from app.errors import Conflict, Forbidden, NotFound
from app.services.accounts import Caller, Passwords, account_name, digest, good_password

INVITATION_LASTS = timedelta(days=7)
LOGIN_ID_LENGTH = 16
"""Characters of a login's hash that name it in a form: enough to tell an account's logins apart."""


async def invite(session: AsyncSession, role: Role, actor: str) -> str:
    """A new invitation: the token for its link, which works once and for a week."""
    token = secrets.token_urlsafe(32)
    session.add(
        InvitationRow(
            sha256=digest(token), role=role, invited_by=actor, expires_at=utc_now() + INVITATION_LASTS
        )
    )
    await session.flush()
    return token


async def open_invitations(session: AsyncSession) -> list[InvitationRow]:
    """Invitations that somebody could still accept."""
    return await members.open_invitations(session, utc_now())


async def invitation(session: AsyncSession, token: str) -> InvitationRow:
    """The invitation of a link. Raises Forbidden when it was used, revoked, is over or mistyped."""
    row = await members.invitation_by_hash(session, digest(token), utc_now())
    if row is None:
        raise _bad_invitation()
    return row


async def accept(
    session: AsyncSession, passwords: Passwords, token: str, name: str, password: str
) -> UserRow:
    """The account that an invitation gives. Of two at once, one is made.

    Raises Forbidden, InvalidField, or Conflict when the name is taken: the link can be used again then.
    """
    row = await invitation(session, token)
    name, password_hash = account_name(name), await passwords.hash(good_password(password))
    await lock_database(session)  # whatever is refused from here on is refused before anything is written
    if await accounts.user_by_name(session, name) is not None:
        raise Conflict(f"There is an account named {name} already.")
    if not await members.end_invitation(session, row.id, utc_now(), used=True):
        raise _bad_invitation()
    user = UserRow(name=name, password_hash=password_hash, role=row.role)
    session.add(user)
    await session.flush()
    return user


async def revoke_invitation(session: AsyncSession, invitation_id: UUID) -> None:
    """Let a link open nothing any more. Raises NotFound."""
    if not await members.end_invitation(session, invitation_id, utc_now(), used=False):
        raise NotFound("There is no such invitation that could be revoked.")


def _bad_invitation() -> Forbidden:
    return Forbidden("This invitation was used, revoked, is over or mistyped. Ask for a new one.")


async def set_role(session: AsyncSession, name: str, role: Role) -> None:
    """Give an account another role; it has it from its next request on. Raises NotFound, Conflict."""
    await lock_database(session)
    user = await account_named(session, name)
    if user.role is Role.ADMIN and role is not Role.ADMIN:
        await _keep_an_admin(session, user)
    await members.set_role(session, user.id, role)


async def remove(session: AsyncSession, name: str) -> None:
    """Delete an account and end its logins. Raises NotFound, Conflict."""
    await lock_database(session)
    user = await account_named(session, name)
    if user.role is Role.ADMIN:
        await _keep_an_admin(session, user)
    await members.remove_user(session, user.id)


async def account_named(session: AsyncSession, name: str) -> UserRow:
    """The account, however its name is written. Raises NotFound."""
    user = await accounts.user_by_name(session, name.strip().lower())
    if user is None:
        raise NotFound(f"There is no account named {name!r}.")
    return user


async def _keep_an_admin(session: AsyncSession, user: UserRow) -> None:
    if await accounts.num_admins(session) == 1:
        raise Conflict(f"{user.name} is the only admin; make another one first.")


async def logins_of(session: AsyncSession, caller: Caller) -> list[LoginRow]:
    """The caller's own logins that are not over, newest first."""
    assert caller.user_id is not None
    return await members.logins_of(session, caller.user_id, utc_now())


async def revoke_login(session: AsyncSession, caller: Caller, login_id: str) -> None:
    """End one of the caller's own logins, everywhere at once. Raises NotFound."""
    assert caller.user_id is not None
    known = len(login_id) == LOGIN_ID_LENGTH
    if not known or not await members.revoke_logins(session, caller.user_id, utc_now(), only=login_id):
        raise NotFound("There is no such login of yours.")


async def revoke_other_logins(session: AsyncSession, caller: Caller) -> int:
    """End all of the caller's logins but this one. How many they were."""
    assert caller.user_id is not None
    return await members.revoke_logins(session, caller.user_id, utc_now(), but=caller.login_sha256)
