"""Evaluations on uploaded photos as pages: the form of ``/compare`` leads here; a reload shows how far it is."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict

from app.services import registry, trial
from app.services.papers import papers_of
from app.web.comparison import pair_of
from app.web.comparison_view import comparison_tables
from app.web.dependencies import Admin, CurrentSettings, Session
from app.web.forms import check_form, check_origin
from app.web.rendering import render
from app.web.trial_view import trial_view
from app.web.trials import receive
from models.comparison import Comparison

router = APIRouter(prefix="/trials", include_in_schema=False)


class CancelForm(BaseModel):
    """What the button of a running evaluation sends."""

    model_config = ConfigDict(extra="forbid")

    form_token: str = ""


@router.post("/form")
async def ask_by_form(
    request: Request,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    model: Annotated[str, Query(max_length=64)],
    version: Annotated[str, Query(max_length=32)],
    reference: Annotated[str, Query(alias="with", max_length=32)],
) -> Response:
    """What the form of ``/compare`` sends; leads to the evaluation's page."""
    check_origin(request)
    pair = await pair_of(session, model, version, reference)
    row = await receive(request, session, settings, pair, caller.actor, partial(check_form, request))
    return RedirectResponse(f"/trials/{row.id}/page", 303)


@router.get("/{trial_id}/page")
async def trial_page(
    request: Request, trial_id: UUID, _caller: Admin, session: Session, settings: CurrentSettings
) -> Response:
    """How far it is, or how the two versions differ on these photos."""
    row = await trial.get(session, trial_id)
    summary = await registry.get_model(session, row.model)
    tables = None
    if row.result:
        pair = await pair_of(session, row.model, row.version, row.reference)
        new, old = [(await papers_of(settings.store, each)).card for each in pair]
        tables = comparison_tables(new, old, Comparison.model_validate_json(row.result))
    return render(request, trial_view(row, summary.shown.title, tables, request.state.form_token))


@router.post("/{trial_id}/end")
async def cancel_by_form(
    request: Request, trial_id: UUID, caller: Admin, session: Session, form: Annotated[CancelForm, Form()]
) -> Response:
    """End it before it is done."""
    check_form(request, form.form_token)
    await trial.cancel(session, trial_id, caller.actor)
    return RedirectResponse(f"/trials/{trial_id}/page", 303)
