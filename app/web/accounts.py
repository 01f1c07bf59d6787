"""Log in, log out, and make the first admin: pages and their forms."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import UserRow, utc_now
from app.errors import Forbidden, InvalidField, LoginRequired, TooManyRequests
from app.services import accounts
from app.services.accounts import FRESH_LOGIN, MIN_PASSWORD, Passwords
from app.services.rates import RateLimit
from app.web.dependencies import (
    AccountRate,
    CurrentCaller,
    CurrentSettings,
    LoginRate,
    PasswordHashes,
    Session,
    SetupRate,
)
from app.web.forms import check_form, form_cookie, keep_form, login_cookie, own_path, set_cookie, start_form
from app.web.rate_limit import address_of
from app.web.rendering import render
from app.web.views import LoginView, SetupView

_MARGIN = timedelta(minutes=1)

router = APIRouter(include_in_schema=False)


class _FormModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    form_token: str = ""


class LoginForm(_FormModel):
    """What the login page sends."""

    name: str
    password: str
    next: str = "/"


class SetupForm(_FormModel):
    """What the set-up page sends."""

    token: str
    name: str
    password: str


@router.get("/login")
async def login_page(request: Request, caller: CurrentCaller, next: str = "/") -> Response:
    """The login; who is logged in is led on."""
    if caller.user_id is not None:
        return RedirectResponse(own_path(next), 303)
    return _login_page(request, next_path=own_path(next))


@router.post("/login")
async def login(
    request: Request,
    session: Session,
    settings: CurrentSettings,
    passwords: PasswordHashes,
    rate: LoginRate,
    account_rate: AccountRate,
    form: Annotated[LoginForm, Form()],
) -> Response:
    """Check name and password, and begin a login."""
    check_form(request, form.form_token)
    # The address first: what it may not try any more does not count for the account either.
    await rate.hit(address_subject(request))
    await account_rate.hit(account_subject(form.name))
    try:
        user = await accounts.log_in(session, passwords, form.name, form.password)
    except LoginRequired as refused:
        return _login_page(
            request, next_path=own_path(form.next), name=form.name, error=refused.detail, status_code=401
        )
    await account_rate.forget(account_subject(form.name))
    return await logged_in(
        request, session, user, timedelta(hours=settings.session_hours), own_path(form.next)
    )


@router.post("/logout")
async def logout(
    request: Request, session: Session, caller: CurrentCaller, form: Annotated[_FormModel, Form()]
) -> Response:
    """End this login."""
    check_form(request, form.form_token)
    await accounts.end_login(session, caller)
    response = RedirectResponse("/", 303)
    set_cookie(request, response, login_cookie(request), "", 0)
    return response


@router.get("/setup")
async def setup_page(
    request: Request, session: Session, rate: SetupRate, token: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """The form for the first admin, for who has the link. Raises AlreadySetUp, Forbidden."""
    if token:
        await rate.hit(address_subject(request))
    await accounts.check_setup_token(session, token or None)
    return _setup_page(request, token=token)


@router.post("/setup")
async def setup(
    request: Request,
    session: Session,
    settings: CurrentSettings,
    passwords: PasswordHashes,
    rate: SetupRate,
    form: Annotated[SetupForm, Form()],
) -> Response:
    """Make the first admin and log them in. The token works once."""
    check_form(request, form.form_token)
    await rate.hit(address_subject(request))
    try:
        user = await accounts.set_up(session, passwords, form.token, form.name, form.password)
    except InvalidField as refused:
        return _setup_page(
            request, token=form.token, name=form.name, error=refused.detail, status_code=refused.status
        )
    except Forbidden as refused:
        return _setup_page(
            request, token="", name=form.name, error=refused.detail, status_code=refused.status
        )
    return await logged_in(request, session, user, timedelta(hours=settings.session_hours), "/")


async def limit_confirmation(rate: RateLimit, caller: accounts.Caller) -> None:
    """Count a try at the password inside a login. Raises TooManyRequests.

    For the login alone, so that who has not got it cannot use its tries up.
    """
    try:
        await rate.hit(f"login {caller.login_sha256}")
    except TooManyRequests as refused:
        refused.detail = "The password was asked for too often in this login. Log out, and in again."
        raise


def address_subject(request: Request) -> str:
    """Who tries, by address."""
    return f"address {address_of(request)}"


def account_subject(name: str) -> str:
    """Who is tried, by account."""
    return f"account {name.strip().lower()}"


async def confirm_password(
    session: AsyncSession,
    passwords: Passwords,
    rate: RateLimit,
    caller: accounts.Caller,
    password: str | None,
) -> accounts.Caller:
    """Let a fresh login, a key, or a login with the right password through. Raises PasswordRequired."""
    if password and caller.user_id is not None:
        await limit_confirmation(rate, caller)
    return await accounts.confirm(session, passwords, caller, password)


def needs_password(caller: accounts.Caller) -> bool:
    """Whether a form should ask for the password again: a little early, since reading takes time."""
    authenticated = caller.authenticated_at
    return authenticated is None or utc_now() - authenticated > FRESH_LOGIN - _MARGIN


async def logged_in(
    request: Request, session: AsyncSession, user: UserRow, lasts: timedelta, next_path: str
) -> Response:
    """Begin a login and lead on."""
    token = await accounts.start_login(session, user, lasts)
    response = RedirectResponse(next_path, 303)
    set_cookie(request, response, login_cookie(request), token, int(lasts.total_seconds()))
    set_cookie(request, response, form_cookie(request), "", 0)
    return response


def _login_page(
    request: Request, *, next_path: str, name: str = "", error: str | None = None, status_code: int = 200
) -> Response:
    token, secret = start_form(request)
    response = render(request, LoginView(token, next_path, name, error), status_code=status_code)
    keep_form(request, response, secret)
    return response


def _setup_page(
    request: Request, *, token: str, name: str = "", error: str | None = None, status_code: int = 200
) -> Response:
    form_token, secret = start_form(request)
    view = SetupView(form_token, token, MIN_PASSWORD, name, error)
    response = render(request, view, status_code=status_code)
    keep_form(request, response, secret)
    return response
