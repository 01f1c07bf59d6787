"""Checklists over HTTP, for admins and keys with the scope ``admin``: a CSV in, what it matches out."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.db.checklist_table import ChecklistRow
from app.errors import InvalidField, UnreadableRequest
from app.services import checklists
from app.services.active_checklists import ActiveChecklists
from app.services.answer_parts.base import AnswerPart
from app.services.checklists import Checked, Draft, Replaces
from app.web.dependencies import ApiAdmin, CurrentSettings, Session, after_commit
from app.web.registry import ModelName
from models.place import Place
from models.target_prior import UNLISTED

router = APIRouter(prefix="/models", tags=["checklists"])
ChecklistId = Annotated[UUID, Path(description="Id of a list.")]
CSV_BODY = {
    "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}},
}


class ChecklistEntry(AnswerPart):
    """One revision of a list. ``ended_at``: since when it is not used any more."""

    id: UUID
    model: str
    name: str
    revision: int
    sha256: Annotated[str, Field(description="Of the CSV as it is kept.")]
    num_species: int
    unlisted_weight: float
    place: Place | None
    created_by: str
    created_at: datetime
    ended_by: str | None
    ended_at: datetime | None


class Checklists(AnswerPart):
    """The lists of a model, by name."""

    checklists: tuple[ChecklistEntry, ...]


class UnmatchedName(AnswerPart):
    """A name that is no species of the model, and the model's names most like it."""

    row: int
    name: str
    nearest: tuple[str, ...]


class AddedChecklist(AnswerPart):
    """What became of a list: ``checklist`` is null where it was only tried."""

    checklist: ChecklistEntry | None
    version: Annotated[str, Field(description="Version of the model whose species it was matched with.")]
    num_species: int
    num_matched: int
    num_in_model: int
    unmatched: tuple[UnmatchedName, ...]
    notes: tuple[str, ...]


class ChecklistParameters(BaseModel):
    """How a CSV becomes a list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checklist: Annotated[
        str, Field(max_length=200, description="Its name, which requests may give as `prior`.")
    ]
    decimal_latitude: Annotated[float | None, Field(description="Centre of its circle, WGS 84.")] = None
    decimal_longitude: Annotated[float | None, Field(description="Centre of its circle, WGS 84.")] = None
    radius_km: Annotated[float | None, Field(description="Radius of its circle; silent: everywhere.")] = None
    unlisted_weight: Annotated[
        float, Field(description="How likely what is not listed is held, beside what is; 0: never.")
    ] = UNLISTED
    replace: Annotated[bool, Field(description="Ends the list of this name that is in use.")] = False
    replaces: Annotated[
        UUID | None, Field(description="Ends the list of this id, and no other: 409 where another is in use.")
    ] = None
    dry_run: Annotated[bool, Field(description="Says what would match, and keeps nothing.")] = False

    def draft(self, data: bytes) -> Draft:
        """The list to check or to add. Raises InvalidField."""
        place = make_place(self.decimal_latitude, self.decimal_longitude, self.radius_km)
        return Draft(self.checklist, data, place, self.unlisted_weight)

    @property
    def ends(self) -> Replaces:
        """Which list this one may end."""
        return self.replaces or ("whatever" if self.replace else "nothing")


@router.get("/{name}/checklists")
async def list_checklists(
    name: ModelName,
    caller: ApiAdmin,
    session: Session,
    ended: Annotated[bool, Query(description="Those that are not used any more as well.")] = False,
) -> Checklists:
    """The checklists of a model: name, place, who added it and when."""
    rows = await checklists.lists_of(session, name, ended=ended)
    return Checklists(checklists=tuple(entry_of(row) for row in rows))


@router.post("/{name}/checklists", openapi_extra=CSV_BODY)
async def add_checklist(
    request: Request,
    name: ModelName,
    parameters: Annotated[ChecklistParameters, Query()],
    caller: ApiAdmin,
    session: Session,
    settings: CurrentSettings,
) -> AddedChecklist:
    """Add a checklist from a CSV: answers use it from now on, on every replica within seconds.

    Names that are no species of the model are answered with the nearest ones; 422 names the rows at fault.
    """
    draft = parameters.draft(await _csv_of(request))
    if parameters.dry_run:
        return _added(None, await checklists.check(session, settings, name, draft))
    row, checked = await checklists.add(
        session, settings, name, draft, actor=caller.actor, replaces=parameters.ends
    )
    forget_after_commit(request, session)
    return _added(row, checked)


@router.get(
    "/{name}/checklists/{checklist_id}/csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "The list as it is kept."}},
)
async def checklist_as_csv(
    name: ModelName, checklist_id: ChecklistId, caller: ApiAdmin, session: Session
) -> Response:
    """The CSV of a list, in use or not."""
    row = await checklists.get_list(session, name, checklist_id)
    headers = {"Content-Disposition": f'attachment; filename="{row.model}-{row.sha256[:12]}.csv"'}
    return Response(row.content, media_type="text/csv", headers=headers)


@router.delete("/{name}/checklists/{checklist_id}")
async def end_checklist(
    request: Request, name: ModelName, checklist_id: ChecklistId, caller: ApiAdmin, session: Session
) -> ChecklistEntry:
    """Use a list no more. It is kept for the answers that name it."""
    await checklists.end(session, name, checklist_id, caller.actor)
    forget_after_commit(request, session)
    session.expire_all()
    return entry_of(await checklists.get_list(session, name, checklist_id))


def make_place(latitude: float | None, longitude: float | None, radius_km: float | None) -> Place | None:
    """A circle, or None where nothing is given. Raises InvalidField.

    >>> make_place(None, None, None) is None
    True
    """
    given = {"decimal_latitude": latitude, "decimal_longitude": longitude, "radius_km": radius_km}
    if all(value is None for value in given.values()):
        return None
    limits = {"decimal_latitude": (-90, 90), "decimal_longitude": (-180, 180), "radius_km": (0, 20_038)}
    for field, value in given.items():
        low, high = limits[field]
        if value is None:
            raise InvalidField.of(
                field, "a place needs latitude, longitude and radius: give all three or none"
            )
        if not low <= value <= high or (field == "radius_km" and value == 0):
            raise InvalidField.of(
                field, f"expected a number {'above' if low == 0 else 'from'} {low} to {high:,}"
            )
    return Place.model_validate(given)


def forget_after_commit(request: Request, session: Session) -> None:
    """Let this process's next answer know of the change; other replicas hear of it by themselves."""
    active: ActiveChecklists = request.app.state.active_checklists

    async def forget() -> None:
        active.forget()

    after_commit(session, forget)


def entry_of(row: ChecklistRow) -> ChecklistEntry:
    """A list as it is answered."""
    place = {name: getattr(row, name) for name in Place.model_fields}
    fields = {name: getattr(row, name) for name in ChecklistEntry.model_fields if name != "place"}
    return ChecklistEntry(**fields, place=None if row.radius_km is None else Place.model_validate(place))


async def _csv_of(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("text/csv", "application/octet-stream", "text/plain"):
        raise UnreadableRequest("Send the list as the body, with Content-Type: text/csv.")
    return await request.body()


def _added(row: ChecklistRow | None, checked: Checked) -> AddedChecklist:
    return AddedChecklist(
        checklist=None if row is None else entry_of(row),
        version=checked.version,
        num_species=len(checked.species.species),
        num_matched=checked.num_matched,
        num_in_model=checked.num_in_model,
        unmatched=tuple(
            UnmatchedName(row=each.row, name=each.name, nearest=each.nearest) for each in checked.unmatched
        ),
        notes=checked.notes,
    )
