"""Who is asking and what they may do: accounts, logins, the first admin, API keys.

Secrets are 256 random bits; only their SHA-256 is kept. Passwords are argon2id.
"""

import asyncio
import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import accounts
from app.db.session import lock_database
from app.db.tables import ApiKeyRow, LoginRow, Role, SetupTokenRow, UserRow, utc_now
from app.errors import AlreadySetUp, Conflict, Forbidden, InvalidField, LoginRequired, PasswordRequired

SCOPES = ("predict", "admin")
FRESH_LOGIN = timedelta(minutes=15)
MIN_PASSWORD, MAX_PASSWORD = 10, 1024
_KEPT_AFTER_THE_END = timedelta(days=30)
_KEY_USE_NOTED_EVERY = timedelta(minutes=1)
_NAME = re.compile(r"^[a-z0-9](?:[a-z0-9._@+-]{0,252}[a-z0-9])?$")
_NOT_PEOPLE = frozenset({"anonymous", "start"})
"""Who else acts here: the history would show an account of such a name as the service itself."""
_PASSWORDS = PasswordHash((Argon2Hasher(),))
_RANKS = {Role.VIEWER: 0, Role.REVIEWER: 1, Role.ADMIN: 2}


@dataclass(frozen=True)
class Caller:
    """Who asks: nobody in particular, an account in a browser, or a program with a key."""

    actor: str = "anonymous"
    user_id: UUID | None = None
    role: Role | None = None
    scopes: frozenset[str] = frozenset()
    key_id: UUID | None = None
    login_sha256: str | None = None
    authenticated_at: datetime | None = None

    @property
    def is_anonymous(self) -> bool:
        """Neither logged in nor with a key."""
        return self.user_id is None and self.key_id is None

    def has_role(self, role: Role) -> bool:
        """Whether the account's role reaches this one. A key has no role.

        >>> Caller(role=Role.ADMIN).has_role(Role.REVIEWER), Caller().has_role(Role.VIEWER)
        (True, False)
        """
        return self.role is not None and _RANKS[self.role] >= _RANKS[role]

    def sees_sighting_of(self, user_id: UUID | None) -> bool:
        """Whether time and place of an identification are for this caller: of its own ones, or for a reviewer of all.

        ``user_id``: the account that asked; None: none did, and who has no account cannot be told from others.

        >>> Caller(role=Role.REVIEWER).sees_sighting_of(None), Caller().sees_sighting_of(None)
        (True, False)
        """
        return self.has_role(Role.REVIEWER) or (user_id is not None and self.user_id == user_id)

    def may(self, scope: str) -> bool:
        """Whether a key's scopes, or an account's role, cover this scope.

        >>> Caller(role=Role.VIEWER).may("predict"), Caller(role=Role.VIEWER).may("admin")
        (True, False)
        """
        return scope in self.scopes or self.has_role(Role.ADMIN if scope == "admin" else Role.VIEWER)


ANONYMOUS = Caller()


class Passwords:
    """argon2id in threads, a few at a time: one check takes 64 MB and tens of milliseconds of a core."""

    def __init__(self, at_once: int = 2) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to keep."""
        async with self._slots:
            return await asyncio.to_thread(_PASSWORDS.hash, password)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether the password is right. Takes as long where there is no account (``stored`` is None)."""
        if self._nobody is None:
            self._nobody = await self.hash(secrets.token_urlsafe())
        async with self._slots:
            fits = await asyncio.to_thread(_PASSWORDS.verify, password[:MAX_PASSWORD], stored or self._nobody)
        return fits and stored is not None


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def account_name(name: str) -> str:
    """The name as it is kept. Raises InvalidField.

    >>> account_name(" Ana@Example.org ")
    'ana@example.org'
    """
    tidy = name.strip().lower()
    if not _NAME.match(tidy):
        raise InvalidField.of(
            "name", "expected 1 to 254 letters, digits or . _ @ + - that begin and end with one"
        )
    if tidy in _NOT_PEOPLE:
        raise InvalidField.of(
            "name", f"{tidy} is what the history calls the service itself; take another one"
        )
    return tidy


def good_password(password: str) -> str:
    """The password, if it may be one. Raises InvalidField."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidField.of("password", f"expected {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return password


async def create_user(
    session: AsyncSession, passwords: Passwords, name: str, password: str, role: Role = Role.VIEWER
) -> UserRow:
    """A new account. Raises InvalidField, or Conflict when the name is taken."""
    name, password_hash = account_name(name), await passwords.hash(good_password(password))
    await lock_database(session)
    if await accounts.user_by_name(session, name) is not None:
        raise Conflict(f"There is an account named {name} already.")
    user = UserRow(name=name, password_hash=password_hash, role=role)
    session.add(user)
    await session.flush()
    return user


async def new_setup_token(session: AsyncSession) -> str:
    """A fresh set-up token; earlier ones stop working. Raises AlreadySetUp when there is an admin."""
    await lock_database(session)
    if await accounts.num_admins(session):
        raise AlreadySetUp("There is an admin already, so there is nothing to set up.")
    await accounts.forget_unused_setup_tokens(session)
    token = secrets.token_urlsafe(32)
    session.add(SetupTokenRow(sha256=digest(token)))
    return token


async def first_setup_token(session: AsyncSession) -> str | None:
    """The token that the very first start prints; None when one was made before, or there is an admin."""
    await lock_database(session)
    if await accounts.num_admins(session) or await accounts.num_unused_setup_tokens(session):
        return None
    return await new_setup_token(session)


async def check_setup_token(session: AsyncSession, token: str | None) -> None:
    """Raises AlreadySetUp when there is an admin, or Forbidden when a given token is not good."""
    if await accounts.num_admins(session):
        raise AlreadySetUp("There is an admin already. Log in instead.")
    if token is not None and not await accounts.setup_token_is_unused(session, digest(token)):
        raise _bad_setup_token()


async def set_up(
    session: AsyncSession, passwords: Passwords, token: str, name: str, password: str
) -> UserRow:
    """The first admin, for the holder of the one-time token. Of two at once, one is made."""
    await check_setup_token(session, token)
    name, password_hash = account_name(name), await passwords.hash(good_password(password))
    await lock_database(session)
    if await accounts.num_admins(session):
        raise AlreadySetUp("There is an admin already. Log in instead.")
    if not await accounts.use_setup_token(session, digest(token), utc_now()):
        raise _bad_setup_token()
    user = UserRow(name=name, password_hash=password_hash, role=Role.ADMIN)
    session.add(user)
    await session.flush()
    return user


def _bad_setup_token() -> Forbidden:
    return Forbidden(
        "This set-up link was used, replaced or mistyped. `python -m app admin setup-link` prints a new one."
    )


async def log_in(session: AsyncSession, passwords: Passwords, name: str, password: str) -> UserRow:
    """The account with this name and password. Raises LoginRequired, the same whichever is wrong."""
    tidy = name.strip().lower()
    user = await accounts.user_by_name(session, tidy) if _NAME.match(tidy) else None
    if not await passwords.fits(password, user.password_hash if user else None) or user is None:
        raise LoginRequired("The name or the password is not right.")
    return user


async def start_login(session: AsyncSession, user: UserRow, lasts: timedelta) -> str:
    """A new login of this account: the token for its cookie."""
    token, now = secrets.token_urlsafe(32), utc_now()
    await accounts.forget_logins_before(session, now - _KEPT_AFTER_THE_END)
    session.add(
        LoginRow(
            token_sha256=digest(token),
            user_id=user.id,
            created_at=now,
            authenticated_at=now,
            expires_at=now + lasts,
        )
    )
    return token


async def end_login(session: AsyncSession, caller: Caller) -> None:
    """Log out."""
    if caller.login_sha256 is not None:
        await accounts.revoke_login(session, caller.login_sha256, utc_now())


async def caller_of_login(session: AsyncSession, token: str) -> Caller:
    """Who this cookie's token belongs to; anonymous when it is over, revoked or unknown."""
    login = await accounts.login_by_hash(session, digest(token), utc_now())
    if login is None:
        return ANONYMOUS
    return Caller(
        actor=login.user.name,
        user_id=login.user.id,
        role=login.user.role,
        login_sha256=login.token_sha256,
        authenticated_at=login.authenticated_at,
    )


async def caller_of_key(session: AsyncSession, key: str) -> Caller:
    """Who this API key belongs to. Raises LoginRequired when it is unknown, expired or revoked."""
    now = utc_now()
    row = await accounts.key_by_hash(session, digest(key), now)
    if row is None:
        raise LoginRequired("This API key is not known, expired or revoked.")
    if row.last_used_at is None or now - row.last_used_at > _KEY_USE_NOTED_EVERY:
        await accounts.touch_key(session, row.id, now)
    return Caller(actor=f"key {row.name}", scopes=frozenset(row.scopes.split()), key_id=row.id)


async def confirm(
    session: AsyncSession, passwords: Passwords, caller: Caller, password: str | None
) -> Caller:
    """Let through a key, a fresh login, or a login with the password given again. Raises PasswordRequired."""
    if caller.key_id is not None:
        return caller
    now = utc_now()
    if caller.authenticated_at is not None and now - caller.authenticated_at <= FRESH_LOGIN and not password:
        return caller
    user = await accounts.user_by_name(session, caller.actor)
    if not password:
        raise PasswordRequired("You logged in more than 15 minutes ago: give your password again.")
    if not await passwords.fits(password, user.password_hash if user else None):
        raise PasswordRequired("The password is not right.")
    assert caller.login_sha256 is not None
    await accounts.refresh_login(session, caller.login_sha256, now)
    return replace(caller, authenticated_at=now)


def key_state(row: ApiKeyRow, now: datetime) -> str:
    """Whether a key opens anything: ``open``, ``expired`` or ``revoked``."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now else "open"


async def create_key(
    session: AsyncSession, name: str, scopes: list[str], lasts: timedelta | None
) -> tuple[ApiKeyRow, str]:
    """A new API key and its secret, which is shown this once. Raises InvalidField."""
    if not name.strip() or len(name) > 100:
        raise InvalidField.of("name", "expected 1 to 100 characters that say what the key is for")
    if not scopes or set(scopes) - set(SCOPES):
        raise InvalidField.of("scopes", f"expected one or more of {', '.join(SCOPES)}")
    secret = f"lt_{secrets.token_urlsafe(32)}"
    row = ApiKeyRow(
        name=name.strip(),
        sha256=digest(secret),
        scopes=" ".join(sorted(set(scopes))),
        expires_at=None if lasts is None else utc_now() + lasts,
    )
    session.add(row)
    await session.flush()
    return row, secret
