"""``/compare``: what a version gains and loses against another, as a page."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.db.tables import Role
from app.services import registry, trial
from app.web.comparison import Reference, compared
from app.web.comparison_view import CompareView, comparison_tables, cost_row, trial_line
from app.web.dependencies import CurrentSettings, Identifier, Session
from app.web.rendering import render

router = APIRouter(include_in_schema=False)


@router.get("/compare")
async def compare_page(
    request: Request,
    caller: Identifier,
    session: Session,
    settings: CurrentSettings,
    model: Annotated[str, Query(max_length=64)],
    version: Annotated[str, Query(max_length=32)],
    reference: Reference = None,
) -> Response:
    """What a version gains and loses against another, by group and by species."""
    summary = await registry.get_model(session, model)
    found = await compared(session, settings, model, version, reference)
    new, old = found.new.card, found.old.card
    trials = None
    if caller.has_role(Role.ADMIN):
        rows = await trial.of_pair(session, model, new.version, old.version)
        trials = tuple(trial_line(row) for row in rows)
    view = CompareView(
        title=f"{new.title}: {new.version} against {old.version}",
        name=new.name,
        version=new.version,
        reference=old.version,
        choices=tuple(row.version for row in summary.versions),
        tables=comparison_tables(new, old, found.comparison),
        costs=tuple(cost_row(card.version, cost) for card, cost in zip((new, old), found.costs, strict=True)),
        trials=trials,
        form_token=getattr(request.state, "form_token", ""),
        max_megabytes=settings.max_trial_bytes // 1_000_000,
    )
    return render(request, view)
