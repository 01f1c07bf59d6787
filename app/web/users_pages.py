"""``/admin/users``: accounts and their roles, invitations by link, API keys. What gives power asks for the password."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.db.repositories import accounts as accounts_repository
from app.db.repositories import members as members_repository
from app.db.tables import ApiKeyRow, Role, utc_now
from app.errors import AppError, NotFound
from app.services import accounts, members
from app.services.accounts import Caller
from app.web.accounts import confirm_password, needs_password
from app.web.dependencies import Admin, ConfirmRate, PasswordHashes, Session
from app.web.forms import check_form, own_origin
from app.web.rendering import render
from app.web.views import InvitationEntry, KeyEntry, UserEntry, UsersView

router = APIRouter(prefix="/admin/users", include_in_schema=False)


class _UsersForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    form_token: str = ""


class InviteForm(_UsersForm):
    """A role to invite somebody to."""

    role: Role
    password: Annotated[str, Field(max_length=1024)] = ""


class RoleForm(InviteForm):
    """Another role for an account."""

    name: Annotated[str, Field(max_length=254)]


class RemoveForm(_UsersForm):
    """An account to delete."""

    name: Annotated[str, Field(max_length=254)]


class RevokeForm(_UsersForm):
    """An invitation or a key to revoke."""

    id: UUID


class KeyForm(_UsersForm):
    """A key to make. ``days`` empty: it does not expire."""

    name: Annotated[str, Field(max_length=100)]
    scope: list[str] = []
    days: Annotated[str, Field(pattern=r"^([1-9]\d{0,4})?$")] = ""
    password: Annotated[str, Field(max_length=1024)] = ""


Act = Callable[[], Awaitable[tuple[str, str] | None]]
"""Does what a form asks for; gives a secret to show once, and what it is."""


@router.get("")
async def users_page(request: Request, caller: Admin, session: Session) -> Response:
    """Accounts, invitations and keys."""
    return await _page(request, caller, session)


@router.post("/invite")
async def invite(
    request: Request,
    caller: Admin,
    session: Session,
    passwords: PasswordHashes,
    rate: ConfirmRate,
    form: Annotated[InviteForm, Form()],
) -> Response:
    """Make a link that lets somebody make an account."""

    async def act() -> tuple[str, str]:
        await confirm_password(session, passwords, rate, caller, form.password or None)
        token = await members.invite(session, form.role, caller.actor)
        return f"A link for one {form.role}", f"{own_origin(request)}/invitation?token={token}"

    return await _acted(request, caller, session, form, act)


@router.post("/role")
async def set_role(
    request: Request,
    caller: Admin,
    session: Session,
    passwords: PasswordHashes,
    rate: ConfirmRate,
    form: Annotated[RoleForm, Form()],
) -> Response:
    """Give an account another role."""

    async def act() -> None:
        await confirm_password(session, passwords, rate, caller, form.password or None)
        await members.set_role(session, form.name, form.role)

    return await _acted(request, caller, session, form, act)


@router.post("/remove")
async def remove(
    request: Request, caller: Admin, session: Session, form: Annotated[RemoveForm, Form()]
) -> Response:
    """Delete an account and end its logins."""

    async def act() -> None:
        await members.remove(session, form.name)

    return await _acted(request, caller, session, form, act)


@router.post("/revoke-invitation")
async def revoke_invitation(
    request: Request, caller: Admin, session: Session, form: Annotated[RevokeForm, Form()]
) -> Response:
    """Let a link open nothing any more."""

    async def act() -> None:
        await members.revoke_invitation(session, form.id)

    return await _acted(request, caller, session, form, act)


@router.post("/key")
async def create_key(
    request: Request,
    caller: Admin,
    session: Session,
    passwords: PasswordHashes,
    rate: ConfirmRate,
    form: Annotated[KeyForm, Form()],
) -> Response:
    """Make an API key and show it, this once."""

    async def act() -> tuple[str, str]:
        await confirm_password(session, passwords, rate, caller, form.password or None)
        lasts = timedelta(days=int(form.days)) if form.days else None
        row, secret = await accounts.create_key(session, form.name, form.scope, lasts)
        return f"The key {row.name}", secret

    return await _acted(request, caller, session, form, act)


@router.post("/revoke-key")
async def revoke_key(
    request: Request, caller: Admin, session: Session, form: Annotated[RevokeForm, Form()]
) -> Response:
    """Let a key open nothing any more, from its next request on, on every replica."""

    async def act() -> None:
        if not await accounts_repository.revoke_key(session, form.id, utc_now()):
            raise NotFound("There is no such key that could be revoked.")

    return await _acted(request, caller, session, form, act)


async def _acted(request: Request, caller: Caller, session: Session, form: _UsersForm, act: Act) -> Response:
    check_form(request, form.form_token)
    try:
        secret = await act()
    except AppError as refused:
        return await _page(request, caller, session, refused=refused)
    return await _page(request, caller, session, secret=secret)


async def _page(
    request: Request,
    caller: Caller,
    session: Session,
    *,
    secret: tuple[str, str] | None = None,
    refused: AppError | None = None,
) -> Response:
    now = utc_now()
    view = UsersView(
        users=tuple(
            UserEntry(row.name, row.role.value, row.created_at, row.id == caller.user_id)
            for row in await members_repository.list_users(session)
        ),
        invitations=tuple(
            InvitationEntry(str(row.id), row.role.value, row.invited_by, row.expires_at)
            for row in await members.open_invitations(session)
        ),
        keys=tuple(
            _key(row, accounts.key_state(row, now)) for row in await accounts_repository.list_keys(session)
        ),
        roles=tuple(role.value for role in Role),
        scopes=accounts.SCOPES,
        form_token=request.state.form_token,
        needs_password=needs_password(caller),
        secret_text=secret[0] if secret else None,
        secret=secret[1] if secret else None,
        refused_title=refused.title if refused else None,
        refused_detail=refused.detail if refused else None,
    )
    return render(request, view, headers={"Cache-Control": "no-store"}, refused=refused)


def _key(row: ApiKeyRow, state: str) -> KeyEntry:
    return KeyEntry(
        str(row.id), row.name, row.scopes, state, state == "open", row.expires_at, row.last_used_at
    )
