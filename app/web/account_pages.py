"""``/account``: an account's own logins, each of which can be ended from here, and its password."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import AppError
from app.services import members, password_change
from app.services.accounts import MAX_PASSWORD, MIN_PASSWORD, Caller
from app.web.accounts import limit_confirmation
from app.web.dependencies import ConfirmRate, PasswordHashes, Session, Viewer
from app.web.forms import check_form
from app.web.rendering import render
from app.web.views import AccountView, LoginEntry, RefusedView

router = APIRouter(prefix="/account", include_in_schema=False)


class EndLoginForm(BaseModel):
    """What the buttons of the page send. Without a login: all but this one."""

    model_config = ConfigDict(extra="forbid")

    form_token: str = ""
    login: Annotated[str, Field(max_length=64)] = ""


class PasswordForm(BaseModel):
    """What the form for another password sends."""

    model_config = ConfigDict(extra="forbid")

    form_token: str = ""
    password: Annotated[str, Field(max_length=MAX_PASSWORD)]
    new_password: Annotated[str, Field(max_length=10_000)]


@router.get("")
async def account_page(
    request: Request, caller: Viewer, session: Session, done: Annotated[bool, Query()] = False
) -> Response:
    """Who is logged in, and where else. ``done``: after the password was changed."""
    return render(request, await _view(request, caller, session, done=done))


@router.post("/password")
async def change_password(
    request: Request,
    caller: Viewer,
    session: Session,
    passwords: PasswordHashes,
    rate: ConfirmRate,
    form: Annotated[PasswordForm, Form()],
) -> Response:
    """Take another password. Every other login of the account ends with it."""
    check_form(request, form.form_token)
    await limit_confirmation(rate, caller)
    try:
        await password_change.change_password(session, passwords, caller, form.password, form.new_password)
    except AppError as refused:
        return render(request, await _view(request, caller, session, refused=refused), refused=refused)
    return RedirectResponse("/account?done=true", 303)


@router.post("/end")
async def end_logins(
    request: Request, caller: Viewer, session: Session, form: Annotated[EndLoginForm, Form()]
) -> Response:
    """End one login, or all but this one. It holds from the next request on, on every replica."""
    check_form(request, form.form_token)
    if form.login:
        await members.revoke_login(session, caller, form.login)
    else:
        await members.revoke_other_logins(session, caller)
    return RedirectResponse("/account", 303)


async def _view(
    request: Request,
    caller: Caller,
    session: AsyncSession,
    *,
    done: bool = False,
    refused: AppError | None = None,
) -> AccountView:
    logins = tuple(
        LoginEntry(
            id=row.token_sha256[: members.LOGIN_ID_LENGTH],
            began_at=row.created_at,
            password_at=row.authenticated_at,
            ends_at=row.expires_at,
            current=row.token_sha256 == caller.login_sha256,
        )
        for row in await members.logins_of(session, caller)
    )
    assert caller.role is not None
    return AccountView(
        name=caller.actor,
        role=caller.role.value,
        logins=logins,
        form_token=request.state.form_token,
        min_password=MIN_PASSWORD,
        changed=done,
        refused=RefusedView.of(refused),
    )
