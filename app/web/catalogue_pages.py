"""``/species`` and ``/performance``: what the deployed models know, and how well."""

import contextlib
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import InternalError
from app.inference.engine import DeployedModel, Engine
from app.services import registry
from app.services.papers import papers_of
from app.settings import Settings
from app.web.dependencies import CurrentSettings, Identifier, Session
from app.web.pages import model_choices
from app.web.performance_blocks import Measured
from app.web.performance_view import model_summary, performance_view
from app.web.rendering import render
from app.web.species_view import GroupFilter, Order, Sort, SpeciesQuery, species_view
from app.web.views import NothingDeployedView

MOST_CANDIDATES = 3
"""Versions beside the deployed one in a plot; newer ones first. More would not be readable."""

ModelName = Annotated[str | None, Query(max_length=64)]
router = APIRouter(include_in_schema=False)


@router.get("/species")
async def species_page(
    request: Request,
    _caller: Identifier,
    model: ModelName = None,
    q: Annotated[str, Query(max_length=100)] = "",
    group: GroupFilter = "all",
    sort: Sort = "name",
    order: Order = "asc",
) -> Response:
    """The species list of one deployed model: searched, filtered, sorted."""
    engine: Engine = request.app.state.engine
    choices = model_choices(engine, model)
    if not choices:
        return render(request, NothingDeployedView("Species"))
    deployed = engine.get(model)
    query = SpeciesQuery(deployed.card.name, q, group, sort, order)
    return render(request, species_view(deployed.card, deployed.evaluation, query, choices))


@router.get("/performance")
async def performance_page(
    request: Request,
    _caller: Identifier,
    session: Session,
    settings: CurrentSettings,
    model: ModelName = None,
) -> Response:
    """What a deployed model can and cannot do, beside its candidates."""
    engine: Engine = request.app.state.engine
    if not model_choices(engine, model):
        return render(request, NothingDeployedView("Performance"))
    chosen = engine.get(model)
    summaries = tuple(
        model_summary(_measured(each), each.epoch, selected=each is chosen) for each in engine.deployed()
    )
    candidates = await _candidates(session, settings, chosen)
    return render(request, performance_view(_measured(chosen), candidates, summaries))


def _measured(deployed: DeployedModel) -> Measured:
    return Measured(deployed.card, deployed.evaluation)


async def _candidates(session: AsyncSession, settings: Settings, deployed: DeployedModel) -> list[Measured]:
    """Other versions of the model in the store, newest last. One that is damaged or gone is left out."""
    summary = await registry.get_model(session, deployed.card.name)
    others = [row for row in summary.versions if row.version != deployed.card.version]
    found = []
    for row in others[-MOST_CANDIDATES:]:
        with contextlib.suppress(InternalError):
            papers = await papers_of(settings.store, row)
            found.append(Measured(papers.card, papers.evaluation))
    return found
