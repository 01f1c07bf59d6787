"""``/account``: an account's own logins, each of which can be ended from here."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from app.services import members
from app.services.accounts import Caller
from app.web.dependencies import Session, Viewer
from app.web.forms import check_form
from app.web.rendering import render
from app.web.views import AccountView, LoginEntry

router = APIRouter(prefix="/account", include_in_schema=False)


class EndLoginForm(BaseModel):
    """What the buttons of the page send. Without a login: all but this one."""

    model_config = ConfigDict(extra="forbid")

    form_token: str = ""
    login: Annotated[str, Field(max_length=64)] = ""


@router.get("")
async def account_page(request: Request, caller: Viewer, session: Session) -> Response:
    """Who is logged in, and where else."""
    return render(request, await _view(request, caller, session))


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


async def _view(request: Request, caller: Caller, session: Session) -> AccountView:
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
    return AccountView(caller.actor, caller.role.value, logins, request.state.form_token)
