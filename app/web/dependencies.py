"""What route functions ask for: a session, who is calling, the services made in ``app.main``.

All are coroutines: the framework runs plain functions in threads, at 0.1 ms each.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Sessions
from app.db.tables import Role
from app.errors import Forbidden, LoginRequired
from app.services.accounts import ANONYMOUS, Caller, Passwords, caller_of_key, caller_of_login
from app.services.promotion import Deployer
from app.services.rates import RateLimit
from app.settings import Settings
from app.web.forms import check_origin, form_token, login_cookie

AfterCommit = Callable[[], Awaitable[None]]
_AFTER_COMMIT = "after_commit"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A session whose transaction is committed when the route function returns, before the response is sent.

    A connection is taken at the first query and kept until then: a slow route asks for ``SessionFactory``.
    """
    sessions: Sessions = request.app.state.sessions
    async with sessions() as session:
        yield session
        await session.commit()
        for act in session.info.pop(_AFTER_COMMIT, []):
            await act()


def after_commit(session: AsyncSession, act: AfterCommit) -> None:
    """Await ``act`` once the request's transaction is committed, before its response; never if it is not."""
    session.info.setdefault(_AFTER_COMMIT, []).append(act)


async def get_sessions(request: Request) -> Sessions:
    """The session factory."""
    sessions: Sessions = request.app.state.sessions
    return sessions


async def get_settings(request: Request) -> Settings:
    """The settings."""
    settings: Settings = request.app.state.settings
    return settings


async def get_passwords(request: Request) -> Passwords:
    """What hashes and checks passwords."""
    passwords: Passwords = request.app.state.passwords
    return passwords


async def get_login_rate(request: Request) -> RateLimit:
    """How often a log-in may be tried from one address."""
    rate: RateLimit = request.app.state.login_rate
    return rate


async def get_confirm_rate(request: Request) -> RateLimit:
    """How often the password may be wrong inside one login."""
    rate: RateLimit = request.app.state.confirm_rate
    return rate


async def get_account_rate(request: Request) -> RateLimit:
    """How often a log-in at one account may be tried, from all addresses together."""
    rate: RateLimit = request.app.state.account_rate
    return rate


async def get_setup_rate(request: Request) -> RateLimit:
    """How often a set-up token may be tried."""
    rate: RateLimit = request.app.state.setup_rate
    return rate


async def get_deployer(request: Request) -> Deployer:
    """What brings the engine to what is deployed."""
    deployer: Deployer = request.app.state.deployer
    return deployer


# scope="function": with the default scope, the code after ``yield`` runs when the response is on its way
# already, and a commit that fails would have answered 200.
Session = Annotated[AsyncSession, Depends(get_session, scope="function")]
SessionFactory = Annotated[Sessions, Depends(get_sessions)]
CurrentSettings = Annotated[Settings, Depends(get_settings)]
PasswordHashes = Annotated[Passwords, Depends(get_passwords)]
LoginRate = Annotated[RateLimit, Depends(get_login_rate)]
ConfirmRate = Annotated[RateLimit, Depends(get_confirm_rate)]
AccountRate = Annotated[RateLimit, Depends(get_account_rate)]
SetupRate = Annotated[RateLimit, Depends(get_setup_rate)]
CurrentDeployer = Annotated[Deployer, Depends(get_deployer)]


async def get_caller(request: Request) -> Caller:
    """Who is calling: by API key, else by login, else nobody. In a short session of its own.

    Raises LoginRequired for a bad key, BadForm when a login's cookie comes along with another site's request.
    """
    if request.url.path.startswith(
        "/static/"
    ):  # the same for everybody: a page's ten files need no ten look-ups
        return ANONYMOUS
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    token = request.cookies.get(login_cookie(request))
    if scheme.lower() != "bearer" and token is None:
        return ANONYMOUS
    sessions: Sessions = request.app.state.sessions
    async with sessions() as session:
        if scheme.lower() == "bearer":
            caller = await caller_of_key(session, key.strip())
        else:
            caller = await caller_of_login(session, token or "")
            if request.method not in _SAFE_METHODS and not caller.is_anonymous:
                check_origin(request)
        await session.commit()
    if caller.user_id is not None:  # what the pages' frame shows
        request.state.caller, request.state.form_token = caller, form_token(request)
    return caller


CurrentCaller = Annotated[Caller, Depends(get_caller)]


def require_role(role: Role) -> Callable[[CurrentCaller], Awaitable[Caller]]:
    """A dependency that lets accounts of this role through. For pages."""

    async def required(caller: CurrentCaller) -> Caller:
        if caller.is_anonymous:
            raise LoginRequired("Log in to see this.")
        if not caller.has_role(role):
            raise Forbidden(f"This needs an account with the role {role}.")
        return caller

    return required


def require_scope(scope: str) -> Callable[[CurrentCaller], Awaitable[Caller]]:
    """A dependency that lets keys with this scope and accounts whose role covers it through. For the API."""

    async def required(caller: CurrentCaller) -> Caller:
        if caller.is_anonymous:
            raise LoginRequired("This needs a login or an API key.", headers={"WWW-Authenticate": "Bearer"})
        if not caller.may(scope):
            raise Forbidden(f"This needs the scope {scope}.")
        return caller

    return required


async def require_identify(caller: CurrentCaller, settings: CurrentSettings) -> Caller:
    """Everybody where identifying is public, else accounts and keys with the scope ``predict``."""
    return caller if settings.public_identify else await require_scope("predict")(caller)


async def require_reader(caller: CurrentCaller, settings: CurrentSettings) -> Caller:
    """Everybody where identifying is public, else every account and every key, whatever its scopes."""
    if caller.is_anonymous and not settings.public_identify:
        raise LoginRequired("This needs a login or an API key.", headers={"WWW-Authenticate": "Bearer"})
    return caller


Identifier = Annotated[Caller, Depends(require_identify)]
Reader = Annotated[Caller, Depends(require_reader)]
Viewer = Annotated[Caller, Depends(require_role(Role.VIEWER))]
Admin = Annotated[Caller, Depends(require_role(Role.ADMIN))]
ApiAdmin = Annotated[Caller, Depends(require_scope("admin"))]
