"""Evaluations of two versions on uploaded photos over HTTP, for admins and keys with the scope ``admin``."""

import errno
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import VersionRow
from app.db.trial_tables import TrialRow, TrialState
from app.errors import DiskFull
from app.services import trial
from app.services.photo_set import FIELD
from app.settings import Settings
from app.web.comparison import Reference, pair_of
from app.web.dependencies import ApiAdmin, CurrentSettings, Session
from app.web.zip_upload import CheckForm, ZipKind, receive_zip
from models.comparison import Comparison

router = APIRouter(prefix="/trials", tags=["trials"])
PHOTOS = ZipKind(FIELD, "the zip of photos", "choose a zip of photos; there is none in what was sent")


class Trial(BaseModel):
    """Two versions on photos that an admin uploaded. ``result`` is there once it is done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    model: str
    version: str
    reference: str
    created_by: str
    created_at: datetime
    state: TrialState
    num_photos: int
    num_done: int
    num_left_out: Annotated[int, Field(description="Photos that could not be decoded, or are there twice.")]
    detail: Annotated[str, Field(description="Why it failed, or who cancelled it.")]
    finished_at: datetime | None
    result: Comparison | None


class Trials(BaseModel):
    """The latest evaluations, newest first, without their results."""

    trials: tuple[Trial, ...]


@router.post(
    "",
    status_code=202,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def ask(
    request: Request,
    response: Response,
    caller: ApiAdmin,
    session: Session,
    settings: CurrentSettings,
    model: Annotated[str, Query(max_length=64)],
    version: Annotated[str, Query(max_length=32)],
    reference: Reference = None,
) -> Trial:
    """Evaluate a version and another one on the photos of a zip, in the background.

    The zip holds one CSV with the columns `file` and `label`. The photos are deleted when it is over.
    """
    pair = await pair_of(session, model, version, reference)
    row = await receive(request, session, settings, pair, caller.actor)
    response.headers["Location"] = f"/trials/{row.id}"
    return as_answer(row)


@router.get("")
async def list_trials(caller: ApiAdmin, session: Session) -> Trials:
    """The latest evaluations of all models."""
    rows = await trial.newest(session)
    return Trials(trials=tuple(as_answer(row, with_result=False) for row in rows))


@router.get("/{trial_id}")
async def get_trial(trial_id: UUID, caller: ApiAdmin, session: Session) -> Trial:
    """How far an evaluation is, and its result."""
    return as_answer(await trial.get(session, trial_id))


@router.post("/{trial_id}/cancel")
async def cancel_trial(trial_id: UUID, caller: ApiAdmin, session: Session) -> Trial:
    """End an evaluation before it is done. 409 when it is over already."""
    return as_answer(await trial.cancel(session, trial_id, caller.actor))


async def receive(
    request: Request,
    session: AsyncSession,
    settings: Settings,
    pair: tuple[VersionRow, VersionRow],
    actor: str,
    check_form: CheckForm | None = None,
) -> TrialRow:
    """Take the zip of a request, and have it worked on.

    Raises what ``receive_zip`` and ``trial.ask`` raise, and DiskFull; then nothing is left of it.
    """
    await trial.check_room(session)
    await session.commit()  # no connection is held while the zip comes
    trial_id, folder = trial.new_folder(settings)
    try:
        await receive_zip(request, folder / trial.SET, PHOTOS, settings.max_trial_bytes, check_form)
        return await trial.ask(session, settings, trial_id, pair, actor)
    except BaseException as error:
        trial.drop_folder(folder)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk is full: the zip was not kept.") from error
        raise


def as_answer(row: TrialRow, *, with_result: bool = True) -> Trial:
    """A row as it is sent."""
    result = Comparison.model_validate_json(row.result) if row.result and with_result else None
    given = {name: getattr(row, name) for name in Trial.model_fields if name != "result"}
    return Trial(**given, result=result)
