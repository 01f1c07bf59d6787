"""``/admin/models/add``: the form that a bundle goes into, and which versions there are."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, ClassVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import bundles
from app.errors import AppError
from app.services import registry
from app.services.adding.add import species_changes
from app.settings import Settings
from app.web.adding import CurrentAdder, upload
from app.web.dependencies import Admin, CurrentSettings, SessionFactory
from app.web.forms import check_form
from app.web.rendering import render
from app.web.views import RefusedView

router = APIRouter(prefix="/admin/models/add", include_in_schema=False)
_SHOWN_LABELS = 30


@dataclass(frozen=True)
class VersionLine:
    """A version in the list. ``actor`` None: from before it was kept who added one."""

    model: str
    version: str
    sha256: str
    num_species: int
    deployed: bool
    actor: str | None
    signed_by: str | None
    added_at: datetime


@dataclass(frozen=True)
class LabelsView:
    """Labels that were added or removed: the first of them, and how many more there are."""

    shown: tuple[str, ...]
    num_more: int

    @property
    def num(self) -> int:
        """How many in all."""
        return len(self.shown) + self.num_more


@dataclass(frozen=True)
class AddedView:
    """What was just added. ``against``: the deployed version that the species lists are compared with."""

    model: str
    version: str
    is_new: bool
    deployed: bool
    against: str | None
    species_added: LabelsView
    species_removed: LabelsView


@dataclass(frozen=True)
class AddingView:
    """``/admin/models/add``."""

    template: ClassVar[str] = "admin_add.html"
    title: ClassVar[str] = "Add a version"

    form_token: str
    max_bytes: int
    signature_needed: bool
    added: AddedView | None
    refused: RefusedView | None
    versions: tuple[VersionLine, ...]


@router.get("")
async def adding_page(
    request: Request,
    _caller: Admin,
    sessions: SessionFactory,
    settings: CurrentSettings,
    model: Annotated[str | None, Query(max_length=64)] = None,
    version: Annotated[str | None, Query(max_length=32)] = None,
    again: bool = False,
) -> Response:
    """The form for a bundle, what was just added, and every version with who added it."""
    async with sessions() as session:
        added = None
        if model is not None and version is not None:
            added = await _added(session, settings, model, version, is_new=not again)
        return await _page(request, session, settings, added=added)


@router.post("")
async def add(
    request: Request,
    caller: Admin,
    sessions: SessionFactory,
    settings: CurrentSettings,
    adder: CurrentAdder,
) -> Response:
    """Add the bundle of the form. When it is refused the page says what is wrong with it, and where."""
    try:
        check = partial(check_form, request)
        added = await upload(request, settings, adder, actor=caller.actor, check_form=check)
    except AppError as refused:
        async with sessions() as session:
            return await _page(request, session, settings, refused=refused)
    again = "" if added.is_new else "&again=true"
    path = f"/admin/models/add?model={added.row.model}&version={added.row.version}{again}"
    return RedirectResponse(path, 303)


async def _page(
    request: Request,
    session: AsyncSession,
    settings: Settings,
    *,
    added: AddedView | None = None,
    refused: AppError | None = None,
) -> Response:
    view = AddingView(
        form_token=request.state.form_token,
        max_bytes=settings.max_bundle_bytes,
        signature_needed=settings.require_signature,
        added=added,
        refused=RefusedView.of(refused),
        versions=await _versions(session),
    )
    return render(request, view, refused=refused)


async def _added(
    session: AsyncSession, settings: Settings, model: str, version: str, *, is_new: bool
) -> AddedView:
    """Raises NotFound."""
    row = await registry.get_version(session, model, version)
    deployed = (await registry.get_model(session, model)).deployed
    changes = await species_changes(session, settings, row)
    return AddedView(
        model=row.model,
        version=row.version,
        is_new=is_new,
        deployed=deployed is not None and deployed.version == row.version,
        against=changes.against,
        species_added=_labels(changes.added),
        species_removed=_labels(changes.removed),
    )


def _labels(labels: tuple[str, ...]) -> LabelsView:
    return LabelsView(labels[:_SHOWN_LABELS], max(0, len(labels) - _SHOWN_LABELS))


async def _versions(session: AsyncSession) -> tuple[VersionLine, ...]:
    """By model, newest version first."""
    lines = []
    for summary in await registry.list_models(session):
        additions = {row.version: row for row in await bundles.additions(session, summary.name)}
        for row in reversed(summary.versions):
            addition = additions.get(row.version)
            lines.append(
                VersionLine(
                    model=row.model,
                    version=row.version,
                    sha256=row.sha256,
                    num_species=row.num_species,
                    deployed=summary.deployed is not None and summary.deployed.version == row.version,
                    actor=addition.actor if addition else None,
                    signed_by=addition.signed_by if addition else None,
                    added_at=row.added_at,
                )
            )
    return tuple(lines)
