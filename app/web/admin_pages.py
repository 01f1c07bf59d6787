"""``/admin/models``: which versions there are, which is deployed, what the gate says, and the forms that change it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import bundles
from app.db.tables import PromotionKind, VersionRow
from app.errors import AppError
from app.services import gate, promotion, registry, replicas, shadow
from app.services.accounts import Caller
from app.services.papers import papers_of
from app.services.promotion import Wanted
from app.settings import Settings
from app.web.accounts import confirm_password, needs_password
from app.web.admin_view import AdminModelsView, Attempt, VersionFacts, admin_model_view, history_view
from app.web.dependencies import Admin, ConfirmRate, CurrentDeployer, CurrentSettings, PasswordHashes, Session
from app.web.forms import check_form
from app.web.promotion import deploy
from app.web.registry import ModelName, default_name
from app.web.rendering import render
from app.web.replicas_view import Running

router = APIRouter(prefix="/admin/models", include_in_schema=False)


class _ModelForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    form_token: str = ""
    model: Annotated[str, Field(max_length=64)]


class PromoteForm(_ModelForm):
    """What the form of a version sends. Lengths and the reason are checked by the service, which says why."""

    version: Annotated[str, Field(max_length=32)]
    expected_epoch: Annotated[int, Field(ge=0, le=2**31 - 1)]
    reason: Annotated[str, Field(max_length=10_000)] = ""
    override: Annotated[str, Field(max_length=10_000)] = ""
    password: Annotated[str, Field(max_length=1024)] = ""


class ProtectForm(_ModelForm):
    """What the forms of the protected species send."""

    label: Annotated[str, Field(max_length=200)]


@router.get("")
async def models_page(
    request: Request,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    promoted: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Versions, what is deployed, what the gate says of the others, and the history."""
    done = None
    if promoted is not None:
        deployed = (await registry.get_model(session, promoted)).deployed
        done = f"{promoted} {deployed.version} answers now, at epoch {deployed.epoch}." if deployed else None
    return await _page(request, caller, session, settings, done=done)


@router.get("/{name}/history")
async def history_page(request: Request, name: ModelName, _caller: Admin, session: Session) -> Response:
    """Every promotion of a model with its verdict: who, when, what and why. Who added which version."""
    summary = await registry.get_model(session, name)
    rows = await promotion.history_of(session, name)
    events = await shadow.events_of(session, name)
    added = await bundles.additions(session, name)
    return render(request, history_view(summary.shown.title, name, rows, events, added))


@router.post("/promote")
async def promote(
    request: Request,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    deployer: CurrentDeployer,
    passwords: PasswordHashes,
    rate: ConfirmRate,
    form: Annotated[PromoteForm, Form()],
) -> Response:
    """Deploy a version. When that is refused the page says why and keeps what was written."""

    async def act() -> None:
        confirmed = await confirm_password(session, passwords, rate, caller, form.password or None)
        await deploy(session, settings, deployer, _wanted(form, confirmed, PromotionKind.PROMOTION))

    return await _acted(request, caller, session, settings, form, act)


@router.post("/rollback")
async def rollback(
    request: Request,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    deployer: CurrentDeployer,
    passwords: PasswordHashes,
    rate: ConfirmRate,
    form: Annotated[PromoteForm, Form()],
) -> Response:
    """Take the last promotion back. The gate refuses no rollback."""

    async def act() -> None:
        confirmed = await confirm_password(session, passwords, rate, caller, form.password or None)
        wanted = _wanted(form, confirmed, PromotionKind.ROLLBACK)
        await promotion.check_rollback(session, wanted)
        await deploy(session, settings, deployer, wanted)

    return await _acted(request, caller, session, settings, form, act)


@router.post("/protect")
async def protect(
    request: Request,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    form: Annotated[ProtectForm, Form()],
) -> Response:
    """Let no promotion make a species worse."""
    return await _acted(
        request,
        caller,
        session,
        settings,
        form,
        lambda: gate.protect(session, settings, form.model, form.label.strip(), caller.actor),
    )


@router.post("/unprotect")
async def unprotect(
    request: Request,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    form: Annotated[ProtectForm, Form()],
) -> Response:
    """Protect a species no more."""
    return await _acted(
        request, caller, session, settings, form, lambda: gate.unprotect(session, form.model, form.label)
    )


def _wanted(form: PromoteForm, caller: Caller, kind: PromotionKind) -> Wanted:
    return Wanted(
        model=form.model,
        version=form.version,
        expected_epoch=form.expected_epoch,
        actor=caller.actor,
        reason=form.reason,
        kind=kind,
        override=form.override or None,
    )


async def _acted(
    request: Request,
    caller: Caller,
    session: AsyncSession,
    settings: Settings,
    form: PromoteForm | ProtectForm,
    act: Callable[[], Awaitable[None]],
) -> Response:
    """Do what a form asks for and lead back to its model, or say on the page why it was refused."""
    check_form(request, form.form_token)
    try:
        await act()
    except AppError as refused:
        attempt = _attempt(form, refused)
        return await _page(request, caller, session, settings, attempt=attempt, refused=refused)
    promoted = f"?promoted={form.model}" if isinstance(form, PromoteForm) else ""
    return RedirectResponse(f"/admin/models{promoted}#{form.model}", 303)


def _attempt(form: PromoteForm | ProtectForm, refused: AppError) -> Attempt:
    if isinstance(form, ProtectForm):
        wanted = f"Nothing was changed in the protected species of {form.model}."
        return Attempt(form.model, "", "", "", wanted, refused.title, refused.detail)
    wanted = (
        f"You wanted to deploy {form.model} {form.version}. What is deployed now is shown below; send the form again "
        "if you still want to."
    )
    return Attempt(
        form.model, form.version, form.reason, form.override, wanted, refused.title, refused.detail
    )


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
    models = []
    found = await replicas.running(session)
    summaries = await registry.list_models(session)
    for summary in summaries:
        history = await promotion.history_of(session, summary.name)
        protected = await gate.protected_species(session, summary.name)
        facts = await _facts(session, settings, summary, promotion.version_before(history))
        running = Running(tuple(found), await shadow.words(session, summary.name))
        default = default_name(summaries, settings.default_model, with_model=summary.name)
        models.append(
            admin_model_view(summary, history, protected, facts, running, is_default=default == summary.name)
        )
    view = AdminModelsView(
        models=tuple(models),
        faults=tuple(request.app.state.deployer.faults),
        form_token=request.state.form_token,
        needs_password=needs_password(caller),
        max_reason=promotion.MAX_REASON,
        done=done,
        attempt=attempt,
    )
    return render(request, view, refused=refused)


async def _facts(
    session: AsyncSession, settings: Settings, summary: registry.ModelSummary, before: str | None
) -> dict[tuple[str, str], VersionFacts]:
    """What was measured of each version. One whose bundle is damaged is left out: the page still opens."""
    facts = {}
    for row in summary.versions:
        try:
            facts[summary.name, row.version] = await _facts_of(session, settings, summary, row, before)
        except AppError:
            continue
    return facts


async def _facts_of(
    session: AsyncSession,
    settings: Settings,
    summary: registry.ModelSummary,
    row: VersionRow,
    before: str | None,
) -> VersionFacts:
    papers = await papers_of(settings.store, row)
    deployed = summary.deployed
    verdict = None
    if deployed is not None and row.version not in (deployed.version, before):
        verdict = (await gate.assess(session, settings, row.model, row.version)).verdict
    labels = tuple(taxon.label for taxon in papers.card.taxa)
    return VersionFacts(papers.evaluation, papers.card.group_rule.sentence(), labels, verdict)
