"""``/compare``: what a version gains and loses against another, as a page."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.services import registry
from app.web.comparison import Reference, compared
from app.web.comparison_view import compare_view
from app.web.dependencies import CurrentSettings, Identifier, Session
from app.web.rendering import render

router = APIRouter(include_in_schema=False)


@router.get("/compare")
async def compare_page(
    request: Request,
    _caller: Identifier,
    session: Session,
    settings: CurrentSettings,
    model: Annotated[str, Query(max_length=64)],
    version: Annotated[str, Query(max_length=32)],
    reference: Reference = None,
) -> Response:
    """What a version gains and loses against another, by group and by species."""
    summary = await registry.get_model(session, model)
    new, old, found = await compared(session, settings, model, version, reference)
    versions = [row.version for row in summary.versions]
    return render(request, compare_view(new.card, old.card, found, versions))
