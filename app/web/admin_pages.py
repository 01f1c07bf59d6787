"""``/admin/models``: which versions there are, which is deployed, and the forms that change it."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import utc_now
from app.errors import AppError
from app.services import promotion, registry
from app.services.accounts import FRESH_LOGIN, Caller
from app.settings import Settings
from app.web.accounts import confirm_password
from app.web.admin_view import AdminModelsView, Attempt, admin_model_view
from app.web.dependencies import Admin, CurrentDeployer, CurrentSettings, LoginRate, PasswordHashes, Session
from app.web.forms import check_form
from app.web.promotion import deploy
from app.web.rendering import render
from models.metrics import Evaluation

_MARGIN = timedelta(minutes=1)
"""The form asks for the password a little early: reading takes time, and a refusal then would surprise."""

router = APIRouter(prefix="/admin/models", include_in_schema=False)


class PromoteForm(BaseModel):
    """What the form of a version sends. Lengths and the reason are checked by the service, which says why."""

    model_config = ConfigDict(extra="forbid")

    form_token: str = ""
    model: Annotated[str, Field(max_length=64)]
    version: Annotated[str, Field(max_length=32)]
    expected_epoch: Annotated[int, Field(ge=1, le=2**31 - 1)]
    reason: Annotated[str, Field(max_length=10_000)] = ""
    password: Annotated[str, Field(max_length=1024)] = ""


@router.get("")
async def models_page(
    request: Request,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    promoted: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Versions, what is deployed, and the history."""
    done = None
    if promoted is not None:
        deployed = (await registry.get_model(session, promoted)).deployed
        done = f"{promoted} {deployed.version} answers now, at epoch {deployed.epoch}." if deployed else None
    return await _page(request, caller, session, settings, done=done)


@router.post("/promote")
async def promote(
    request: Request,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    deployer: CurrentDeployer,
    passwords: PasswordHashes,
    rate: LoginRate,
    form: Annotated[PromoteForm, Form()],
) -> Response:
    """Deploy a version. When that is refused the page says why and keeps what was written."""
    check_form(request, form.form_token)
    try:
        caller = await confirm_password(request, session, passwords, rate, caller, form.password or None)
        await deploy(
            session,
            deployer,
            form.model,
            form.version,
            expected_epoch=form.expected_epoch,
            actor=caller.actor,
            reason=form.reason,
        )
    except AppError as refused:
        attempt = Attempt(form.model, form.version, form.reason, refused.title, refused.detail)
        return await _page(request, caller, session, settings, attempt=attempt, refused=refused)
    return RedirectResponse(f"/admin/models?promoted={form.model}#{form.model}", 303)


async def _page(
    request: Request,
    caller: Caller,
    session: AsyncSession,
    settings: Settings,
    *,
    done: str | None = None,
    attempt: Attempt | None = None,
    refused: AppError | None = None,
) -> Response:
    summaries = await registry.list_models(session)
    papers = await _papers(session, settings, summaries)
    models = [
        admin_model_view(each, await promotion.history_of(session, each.name), papers) for each in summaries
    ]
    view = AdminModelsView(
        models=tuple(models),
        faults=tuple(request.app.state.deployer.faults),
        form_token=request.state.form_token,
        needs_password=_needs_password(caller),
        max_reason=promotion.MAX_REASON,
        done=done,
        attempt=attempt,
    )
    headers = refused.headers if refused else {}
    return render(request, view, status_code=refused.status if refused else 200, headers=headers)


def _needs_password(caller: Caller) -> bool:
    authenticated = caller.authenticated_at
    return authenticated is None or utc_now() - authenticated > FRESH_LOGIN - _MARGIN


async def _papers(
    session: AsyncSession, settings: Settings, summaries: list[registry.ModelSummary]
) -> dict[tuple[str, str], tuple[Evaluation, str]]:
    """What was measured of each version. One whose bundle is damaged is left out: the page still opens."""
    papers = {}
    for summary in summaries:
        for row in summary.versions:
            try:
                card, evaluation = await registry.papers_of(settings.store, row)
            except AppError:
                continue
            papers[summary.name, row.version] = (evaluation, card.group_rule.sentence())
    return papers
