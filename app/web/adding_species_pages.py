"""``/admin/models/add-species``: the form for a species and its photos."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import AppError
from app.services import registry
from app.services.papers import papers_of
from app.settings import Settings
from app.web.adding_species import CurrentSpeciesAdder, add_sent_form
from app.web.dependencies import Admin, CurrentSettings, SessionFactory
from app.web.forms import check_form
from app.web.naming import taxon_name
from app.web.predict import Answers
from app.web.rendering import render
from app.web.views import RefusedView, TaxonName
from models.prototypes import MAX_PHOTOS

router = APIRouter(prefix="/admin/models/add-species", include_in_schema=False)


@dataclass(frozen=True)
class SpeciesAddedView:
    """What was just added."""

    model: str
    version: str
    base: str
    name: TaxonName
    num_photos: int
    deployed: bool


@dataclass(frozen=True)
class SpeciesDraft:
    """What was typed: nobody has to type it again where something is refused. A browser keeps no chosen photos."""

    model: str = ""
    name: str = ""
    vernacular_name: str = ""
    family: str = ""
    base: str = ""
    version: str = ""


@dataclass(frozen=True)
class AddSpeciesView:
    """``/admin/models/add-species``. ``models``: their names."""

    template: ClassVar[str] = "admin_add_species.html"
    title: ClassVar[str] = "Add a species"

    form_token: str
    max_photos: int
    max_photo_bytes: int
    models: tuple[str, ...]
    added: SpeciesAddedView | None
    refused: RefusedView | None
    draft: SpeciesDraft


@router.get("")
async def add_species_page(
    request: Request,
    _caller: Admin,
    sessions: SessionFactory,
    settings: CurrentSettings,
    model: Annotated[str | None, Query(max_length=64)] = None,
    version: Annotated[str | None, Query(max_length=32)] = None,
) -> Response:
    """The form, and what was just added with it."""
    async with sessions() as session:
        added = None
        if model is not None and version is not None:
            added = await _added(session, settings, model, version)
        return await _page(request, session, settings, added=added)


@router.post("")
async def add_species(
    request: Request,
    caller: Admin,
    sessions: SessionFactory,
    settings: CurrentSettings,
    answers: Answers,
    adder: CurrentSpeciesAdder,
) -> Response:
    """Add the species of the form. When it is refused the page says what is wrong, and what to do."""
    draft = SpeciesDraft()

    def hear(sent: Mapping[str, str]) -> None:
        nonlocal draft
        draft = SpeciesDraft(**{field.name: sent.get(field.name, "")[:200] for field in fields(SpeciesDraft)})
        check_form(request, sent.get("form_token", ""))

    try:
        added = await add_sent_form(request, settings, answers, adder, caller.actor, hear)
    except AppError as refused:
        async with sessions() as session:
            return await _page(request, session, settings, refused=refused, draft=draft)
    row = added.version.row
    return RedirectResponse(f"/admin/models/add-species?model={row.model}&version={row.version}", 303)


async def _page(
    request: Request,
    session: AsyncSession,
    settings: Settings,
    *,
    added: SpeciesAddedView | None = None,
    refused: AppError | None = None,
    draft: SpeciesDraft = SpeciesDraft(),
) -> Response:
    view = AddSpeciesView(
        form_token=request.state.form_token,
        max_photos=MAX_PHOTOS,
        max_photo_bytes=settings.max_photo_bytes,
        models=tuple(summary.name for summary in await registry.list_models(session)),
        added=added,
        refused=RefusedView.of(refused),
        draft=draft,
    )
    return render(request, view, refused=refused)


async def _added(
    session: AsyncSession, settings: Settings, model: str, version: str
) -> SpeciesAddedView | None:
    """The newest prototype of a version; None for a version without one. Raises NotFound."""
    card = (await papers_of(settings.store, await registry.get_version(session, model, version))).card
    if not card.prototypes:
        return None
    newest = card.prototypes[-1]
    taxon = next(taxon for taxon in card.taxa if taxon.label == newest.label)
    deployed = (await registry.get_model(session, model)).deployed
    return SpeciesAddedView(
        model=model,
        version=version,
        base=newest.base_version,
        name=taxon_name(taxon),
        num_photos=newest.num_photos,
        deployed=deployed is not None and deployed.version == version,
    )
