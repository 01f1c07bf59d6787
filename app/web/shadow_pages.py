"""``/admin/models/<name>/shadow``: set a candidate beside the deployed version, see where they differ, stop it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import shadows
from app.errors import AppError, InvalidField, NotFound
from app.services import registry, replicas, shadow
from app.services.papers import papers_of
from app.services.shadow import Report
from app.settings import Settings
from app.web.dependencies import Admin, CurrentSettings, Session
from app.web.forms import check_form
from app.web.naming import names_by_label
from app.web.registry import ModelName
from app.web.rendering import render
from app.web.shadow_view import ShadowAttempt, shadow_view
from app.web.views import TaxonName

router = APIRouter(prefix="/admin/models", include_in_schema=False)


class StopForm(BaseModel):
    """What the form of a running shadow sends."""

    model_config = ConfigDict(extra="forbid")

    form_token: str = ""
    version: Annotated[str, Field(max_length=32)]
    reason: Annotated[str, Field(max_length=10_000)] = ""


class StartForm(StopForm):
    """What the form of a new shadow sends. ``percent``: of the requests."""

    percent: Annotated[str, Field(max_length=16)]


@router.get("/{name}/shadow")
async def shadow_page(
    request: Request,
    name: ModelName,
    _caller: Admin,
    session: Session,
    settings: CurrentSettings,
    before: Annotated[UUID | None, Query()] = None,
) -> Response:
    """Agreement by group and the photos on which the two differ; ``before`` is the last of the page above."""
    return await _page(request, name, session, settings, before=before)


@router.post("/{name}/shadow/start")
async def start(
    request: Request,
    name: ModelName,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    form: Annotated[StartForm, Form()],
) -> Response:
    """Set a candidate beside the deployed version."""

    async def act() -> None:
        wanted = shadow.Shadow(name, form.version, _share(form.percent), caller.actor, form.reason)
        await shadow.start(session, wanted)

    return await _acted(request, name, session, settings, form, act)


@router.post("/{name}/shadow/end")
async def stop(
    request: Request,
    name: ModelName,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    form: Annotated[StopForm, Form()],
) -> Response:
    """End it; what it answered is kept."""

    async def act() -> None:
        await shadow.stop(session, name, caller.actor, form.reason, version=form.version)

    return await _acted(request, name, session, settings, form, act)


def _share(percent: str) -> float:
    try:
        return float(percent.strip().removesuffix("%").replace(",", ".")) / 100
    except ValueError as error:
        raise InvalidField.of("percent", "expected a number such as 10") from error


async def _acted(
    request: Request,
    name: str,
    session: AsyncSession,
    settings: Settings,
    form: StopForm,
    act: Callable[[], Awaitable[None]],
) -> Response:
    check_form(request, form.form_token)
    try:
        await act()
    except AppError as refused:
        started = form if isinstance(form, StartForm) else None
        attempt = ShadowAttempt(
            refused.title,
            refused.detail,
            version=started.version if started else "",
            share=started.percent if started else "",
            reason=form.reason,
        )
        return await _page(request, name, session, settings, attempt=attempt, status=refused.status)
    return RedirectResponse(f"/admin/models/{name}/shadow", 303)


async def _page(
    request: Request,
    name: str,
    session: AsyncSession,
    settings: Settings,
    *,
    before: UUID | None = None,
    attempt: ShadowAttempt | None = None,
    status: int = 200,
) -> Response:
    summary = await registry.get_model(session, name)
    found = await shadow.report(session, name)
    if before is not None:
        last = await shadows.answer(session, before, found.pair.version) if found.pair else None
        if last is None:
            raise NotFound("There is no such comparison.")
        found = await shadow.report(session, name, before=last)
    view = shadow_view(
        summary,
        found,
        await replicas.running(session),
        await _names(session, settings, found),
        form_token=request.state.form_token,
        attempt=attempt,
    )
    return render(request, view, status_code=status)


async def _names(session: AsyncSession, settings: Settings, found: Report) -> Mapping[str, TaxonName]:
    """Names of both versions' labels; where a bundle is damaged, labels stand for themselves."""
    names: dict[str, TaxonName] = {}
    for version in (found.pair.deployed, found.pair.version) if found.pair else ():
        try:
            row = await registry.get_version(session, found.pair.model, version) if found.pair else None
            if row is not None:
                names.update(names_by_label((await papers_of(settings.store, row)).card.taxa))
        except AppError:
            continue
    return names
