"""Another password for an account: whoever knew the old one is logged out everywhere."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import accounts, members
from app.db.tables import utc_now
from app.errors import PasswordRequired
from app.services.accounts import Caller, Passwords, good_password
from app.services.members import account_named


async def change_password(
    session: AsyncSession, passwords: Passwords, caller: Caller, password: str, new: str
) -> None:
    """Another password for the caller's own account; its other logins end. Raises PasswordRequired, InvalidField."""
    assert caller.login_sha256 is not None
    assert caller.user_id is not None
    user = await accounts.user_by_name(session, caller.actor)
    if user is None or not await passwords.fits(password, user.password_hash):
        raise PasswordRequired("Your present password is not right, so nothing was changed.")
    user.password_hash = await passwords.hash(good_password(new))
    now = utc_now()
    await members.revoke_logins(session, caller.user_id, now, but=caller.login_sha256)
    await accounts.refresh_login(session, caller.login_sha256, now)


async def give_password(session: AsyncSession, passwords: Passwords, name: str, new: str) -> None:
    """Another password for an account whose own is lost; all of its logins end. Raises NotFound, InvalidField."""
    user = await account_named(session, name)
    user.password_hash = await passwords.hash(good_password(new))
    await members.revoke_logins(session, user.id, utc_now())
