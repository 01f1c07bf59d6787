"""Two versions on photos that an admin uploads: asked for, looked at, cancelled. Running it is ``trialling``'s.

For when the bundles were tested on different photos, or on none like those of this place.
"""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import trials
from app.db.tables import VersionRow, utc_now
from app.db.trial_tables import TrialRow, TrialState
from app.errors import Conflict, NotFound
from app.services.papers import papers_of
from app.services.photo_set import read_set
from app.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.trial")
MAX_OPEN = 5
SET = "photos.zip"
PROGRESS = "progress.jsonl"


def folder_of(settings: Settings, trial_id: UUID) -> Path:
    """Where a trial's photos lie with the process that took them."""
    return settings.data_dir / "trials" / str(trial_id)


def new_folder(settings: Settings) -> tuple[UUID, Path]:
    """The id of a trial to be, and its folder, in which the zip is put as ``SET``."""
    trial_id = uuid4()
    folder = folder_of(settings, trial_id)
    folder.mkdir(parents=True)
    return trial_id, folder


async def check_room(session: AsyncSession) -> None:
    """Raises Conflict while too many trials wait."""
    if await trials.num_open(session) >= MAX_OPEN:
        raise Conflict(f"{MAX_OPEN} evaluations wait or run already. Wait for one to end, or cancel one.")


async def ask(
    session: AsyncSession, settings: Settings, trial_id: UUID, pair: tuple[VersionRow, VersionRow], actor: str
) -> TrialRow:
    """Have two versions (the candidate first) evaluated on the set in the trial's folder.

    Raises InvalidField for a set that is not right, Conflict, InternalError for a damaged bundle.
    """
    version, reference = pair
    if version.version == reference.version:
        raise Conflict(f"{version.version} cannot be set against itself: choose another version.")
    await check_room(session)
    papers = [await papers_of(settings.store, row) for row in pair]
    known = {taxon.label for each in papers for taxon in each.card.taxa}
    path = folder_of(settings, trial_id) / SET
    photos = await asyncio.to_thread(read_set, path, known, settings.max_photo_bytes)
    row = TrialRow(
        id=trial_id,
        model=version.model,
        version=version.version,
        reference=reference.version,
        created_by=actor,
        created_at=utc_now(),
        num_photos=len(photos),
    )
    session.add(row)
    await session.flush()
    log.info("trial asked for", trial=str(trial_id), model=row.model, num_photos=row.num_photos)
    return row


async def get(session: AsyncSession, trial_id: UUID) -> TrialRow:
    """One trial. Raises NotFound."""
    row = await trials.by_id(session, trial_id)
    if row is None:
        raise NotFound("There is no such evaluation.")
    return row


async def newest(session: AsyncSession, limit: int = 50) -> Sequence[TrialRow]:
    """The latest trials of all models."""
    return await trials.newest(session, limit=limit)


async def of_pair(session: AsyncSession, model: str, version: str, reference: str) -> Sequence[TrialRow]:
    """The latest trials of these two versions."""
    pair = (TrialRow.model == model, TrialRow.version == version, TrialRow.reference == reference)
    return await trials.newest(session, *pair, limit=5)


async def cancel(session: AsyncSession, trial_id: UUID, actor: str) -> TrialRow:
    """End it before it is done; its photos are deleted. Raises NotFound, Conflict when it is over already."""
    row = await get(session, trial_id)
    detail = f"Cancelled by {actor}."
    ended = {"state": TrialState.CANCELLED, "detail": detail, "finished_at": utc_now()}
    if not await trials.end(session, trial_id, **ended):
        raise Conflict(f"This evaluation is over already: it is {(await get(session, trial_id)).state}.")
    log.info("trial cancelled", trial=str(trial_id), model=row.model)
    return await get(session, trial_id)


def drop_folder(folder: Path) -> None:
    """Delete the photos of a trial, if they are there."""
    shutil.rmtree(folder, ignore_errors=True)
