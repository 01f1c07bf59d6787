"""``/invitation``: who has the link makes an account of the role that it is for."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from app.errors import Conflict, InvalidField
from app.services import members
from app.services.accounts import MIN_PASSWORD
from app.web.accounts import address_subject, logged_in
from app.web.dependencies import CurrentSettings, PasswordHashes, Session, SetupRate
from app.web.forms import check_form, keep_form, start_form
from app.web.rendering import render
from app.web.views import InvitationView

router = APIRouter(include_in_schema=False)


class InvitationForm(BaseModel):
    """What the invitation's page sends."""

    model_config = ConfigDict(extra="forbid")

    form_token: str = ""
    token: str
    name: str
    password: str


@router.get("/invitation")
async def invitation_page(
    request: Request, session: Session, rate: SetupRate, token: Annotated[str, Query(max_length=200)]
) -> Response:
    """The form of an invitation. Raises Forbidden for a link that opens nothing."""
    await rate.hit(address_subject(request))
    row = await members.invitation(session, token)
    return _page(request, token=token, role=row.role.value)


@router.post("/invitation")
async def accept(
    request: Request,
    session: Session,
    settings: CurrentSettings,
    passwords: PasswordHashes,
    rate: SetupRate,
    form: Annotated[InvitationForm, Form()],
) -> Response:
    """Make the account and log it in. The link works once."""
    check_form(request, form.form_token)
    await rate.hit(address_subject(request))
    role = (await members.invitation(session, form.token)).role.value
    try:
        user = await members.accept(session, passwords, form.token, form.name, form.password)
    except (InvalidField, Conflict) as refused:
        return _page(
            request,
            token=form.token,
            role=role,
            name=form.name,
            error=refused.detail,
            status_code=refused.status,
        )
    return await logged_in(request, session, user, timedelta(hours=settings.session_hours), "/")


def _page(
    request: Request,
    *,
    token: str,
    role: str,
    name: str = "",
    error: str | None = None,
    status_code: int = 200,
) -> Response:
    form_token, secret = start_form(request)
    view = InvitationView(form_token, token, role, MIN_PASSWORD, name, error)
    response = render(request, view, status_code=status_code)
    keep_form(request, response, secret)
    return response
