"""``/admin/checklists``: checklists by place and season, for admins. A list is looked at before it is kept."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response, UploadFile
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import AppError, InvalidField
from app.services import checklists, registry
from app.services.checklists import Draft
from app.web.checklists import forget_after_commit, make_place
from app.web.checklists_view import ChecklistDraft, ChecklistsView, PreviewView, checklist_view, preview_view
from app.web.dependencies import Admin, CurrentSettings, Session
from app.web.forms import check_form
from app.web.rendering import render
from models.checklist import MAX_BYTES, BadChecklist, list_text
from models.target_prior import UNLISTED

router = APIRouter(prefix="/admin/checklists", include_in_schema=False)
MAX_FORM_BYTES = 2 * MAX_BYTES
"""Of a form with a whole list in it."""

ShortText = Annotated[str, Field(max_length=200)]


class ChecklistForm(BaseModel):
    """What the form of a list sends. Numbers come as they were typed."""

    model_config = ConfigDict(extra="forbid")

    form_token: str = ""
    model: Annotated[str, Field(max_length=64)] = ""
    checklist: ShortText = ""
    decimal_latitude: ShortText = ""
    decimal_longitude: ShortText = ""
    radius_km: ShortText = ""
    unlisted: ShortText = ""
    csv: str = ""

    @property
    def kept(self) -> ChecklistDraft:
        """What the page shows again."""
        return ChecklistDraft(**{name: getattr(self, name) for name in vars(ChecklistDraft())})

    def draft(self) -> Draft:
        """The list to check or to add. Raises InvalidField."""
        place = make_place(
            _number("decimal_latitude", self.decimal_latitude),
            _number("decimal_longitude", self.decimal_longitude),
            _number("radius_km", self.radius_km),
        )
        unlisted = _number("unlisted", self.unlisted)
        # A browser sends a text's lines with CRLF: a list of many lines near the limit would then be over it.
        rows = self.csv.replace("\r\n", "\n").encode()
        return Draft(self.checklist, rows, place, UNLISTED if unlisted is None else unlisted)


class AddForm(ChecklistForm):
    """A list that was looked at. ``replaces``: the id of the list in use that the page said it would replace."""

    replaces: UUID | Literal["nothing"] = "nothing"


class PreviewForm(ChecklistForm):
    """The same with a file, which goes before the rows; a field left empty comes as text."""

    file: UploadFile | str = ""


class EndForm(BaseModel):
    """A list to use no more."""

    model_config = ConfigDict(extra="forbid")

    form_token: str = ""
    model: Annotated[str, Field(max_length=64)]
    id: UUID


@router.get("")
async def checklists_page(
    request: Request,
    caller: Admin,
    session: Session,
    model: Annotated[str | None, Query(max_length=64)] = None,
    done: Annotated[str | None, Query(pattern="^(added|ended)$")] = None,
) -> Response:
    """The checklists of a model: where and when each holds, who added it, and a form for another one."""
    words = {"added": "The checklist is in use.", "ended": "The checklist is not used any more."}
    return await _page(request, session, model, done=words[done] if done else None)


@router.post("/preview")
async def preview(
    request: Request,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    form: Annotated[PreviewForm, Form()],
) -> Response:
    """Say what a list would match, and keep nothing."""
    check_form(request, form.form_token)
    try:
        form = await _with_file(form)
        checked = await checklists.check(session, settings, form.model, form.draft())
        in_use = await checklists.lists_of(session, form.model)
    except AppError as refused:
        return await _page(request, session, form.model, draft=form.kept, refused=refused)
    shown = preview_view(checked, in_use)
    return await _page(request, session, form.model, draft=form.kept, preview=shown)


@router.post("/add")
async def add(
    request: Request,
    caller: Admin,
    session: Session,
    settings: CurrentSettings,
    form: Annotated[AddForm, Form()],
) -> Response:
    """Keep a list that was looked at, in place of the one of the same name that was shown."""
    check_form(request, form.form_token)
    try:
        await checklists.add(
            session, settings, form.model, form.draft(), actor=caller.actor, replaces=form.replaces
        )
    except AppError as refused:
        return await _page(request, session, form.model, draft=form.kept, refused=refused)
    forget_after_commit(request, session)
    return RedirectResponse(f"/admin/checklists?model={form.model}&done=added", 303)


@router.post("/end")
async def end(
    request: Request, caller: Admin, session: Session, form: Annotated[EndForm, Form()]
) -> Response:
    """Use a list no more. It is kept for the answers that name it."""
    check_form(request, form.form_token)
    try:
        await checklists.end(session, form.model, form.id, caller.actor)
    except AppError as refused:
        return await _page(request, session, form.model, refused=refused)
    forget_after_commit(request, session)
    return RedirectResponse(f"/admin/checklists?model={form.model}&done=ended", 303)


async def _with_file(form: PreviewForm) -> PreviewForm:
    """The form with the file's text in place of what was pasted. Raises InvalidField for bytes that are no text."""
    file = form.file
    if isinstance(file, str) or not file.filename:
        if not form.csv.strip():
            raise InvalidField.of("file", "choose a CSV file, or paste its rows")
        return form
    data = await file.read(MAX_BYTES + 1)
    try:
        return form.model_copy(update={"csv": list_text(data)})
    except BadChecklist as error:
        raise InvalidField.of("file", str(error)) from error


def _number(field: str, text: str) -> float | None:
    """A number as people type it; None for nothing. Raises InvalidField.

    >>> _number("radius_km", " 2,5 "), _number("radius_km", "")
    (2.5, None)
    """
    if not text.strip():
        return None
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        raise InvalidField.of(field, f"{text.strip()[:40]!r} is not a number") from None


async def _page(
    request: Request,
    session: AsyncSession,
    model: str | None,
    *,
    draft: ChecklistDraft | None = None,
    preview: PreviewView | None = None,
    done: str | None = None,
    refused: AppError | None = None,
) -> Response:
    summaries = await registry.list_models(session)
    names = [summary.name for summary in summaries]
    shown = model if model in names else (names[0] if names else "")
    rows = await checklists.lists_of(session, shown, ended=True) if shown else []
    view = ChecklistsView(
        models=tuple((summary.name, summary.shown.title, summary.name == shown) for summary in summaries),
        model=shown,
        checklists=tuple(checklist_view(row) for row in rows if row.ended_at is None),
        ended=tuple(checklist_view(row) for row in rows if row.ended_at is not None),
        draft=draft or ChecklistDraft(),
        preview=preview,
        form_token=request.state.form_token,
        done=done,
        refused_title=refused.title if refused else None,
        refused_detail=_refusal(refused),
        default_unlisted=f"{UNLISTED:g}",
    )
    return render(request, view, refused=refused)


def _refusal(refused: AppError | None) -> tuple[str, ...]:
    """Each fault on its own line: a list may have twenty."""
    if refused is None:
        return ()
    if len(refused.errors) > 1:
        return tuple(error.message for error in refused.errors)
    return (refused.detail,)
