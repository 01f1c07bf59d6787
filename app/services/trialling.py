"""The worker of evaluations on uploaded photos: one at a time, at a low priority, resumed after a kill.

A process works on trials whose photos lie in its own data folder. It keeps their lease while it lives; its next start
goes on from the last photo. When nobody renews a lease for long, the trial has failed, and says so.
"""

import asyncio
import hashlib
import time
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import trials
from app.db.session import Sessions
from app.db.tables import utc_now
from app.db.trial_tables import TrialRow, TrialState
from app.errors import AppError, PhotoTooLarge, UndecodablePhoto, UnsupportedPhoto
from app.services.beside import Beside, BesideDecoder
from app.services.identify import IdentifyRequest, NoChecklists
from app.services.papers import read_registered
from app.services.photo_set import LabelledPhoto, read_photo, read_set
from app.services.registry import get_version
from app.services.trial import PROGRESS, SET, drop_folder, folder_of
from app.services.trial_result import Judged, Named, NoResult, dump, load, result_of
from app.settings import Settings
from models.bundle import Bundle, BundleError
from models.card import ModelCard
from models.comparison import Comparison

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.trial")
LEASE = timedelta(seconds=15)
ABANDONED_AFTER = timedelta(minutes=10)
MAX_STARTS = 5
_SAVE_S = 1.0
_UPLOAD_S = 24 * 3600.0
"""No upload takes so long: what is older and belongs to no trial was left by a kill."""


class _Over(Exception):
    """Somebody ended this trial, or took it over."""


@dataclass
class Trialling:
    """Works on trials for this process."""

    sessions: Sessions
    settings: Settings
    decoder: BesideDecoder
    id: UUID = field(default_factory=uuid4)
    _task: "asyncio.Task[None] | None" = None

    async def follow_once(self) -> None:
        """Keep the leases, start the next trial, clean up what is over."""
        async with self.sessions() as session:
            mine = await self._leased(session)
            await session.commit()
        if mine and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work(mine[0]))
        await self._drop_folders()

    async def stop(self) -> None:
        """Leave the rest to the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _leased(self, session: AsyncSession) -> list[TrialRow]:
        """The trials that are this process's now, oldest first."""
        now, mine = utc_now(), []
        until = now + LEASE + timedelta(seconds=3 * self.settings.follow_s)
        for row in await trials.open_trials(session):
            if folder_of(self.settings, row.id).is_dir():
                if await trials.lease(session, row.id, self.id, now, until):
                    mine.append(row)
            elif (row.leased_until or row.created_at) < now - ABANDONED_AFTER:
                detail = "The process that had its photos is gone. Upload them again."
                await trials.end(session, row.id, state=TrialState.FAILED, detail=detail, finished_at=now)
        return mine

    async def _drop_folders(self) -> None:
        """Of trials that are over, or were never asked for: nobody looks at the photos again."""
        parent = folder_of(self.settings, self.id).parent
        for folder in [each for each in parent.iterdir() if each.is_dir()] if parent.is_dir() else []:
            async with self.sessions() as session:
                row = await trials.by_id(session, UUID(folder.name))
            is_left = row is None and folder.stat().st_mtime < time.time() - _UPLOAD_S
            if is_left or (row is not None and row.state not in trials.OPEN):
                await asyncio.to_thread(drop_folder, folder)

    async def _work(self, row: TrialRow) -> None:
        try:
            await self._say(row, state=TrialState.RUNNING)
            result, num_left_out = await self._evaluate(row)
            await self._say(
                row,
                state=TrialState.DONE,
                num_done=row.num_photos,
                num_left_out=num_left_out,
                result=result.model_dump_json(),
                finished_at=utc_now(),
            )
            log.info("trial done", trial=str(row.id), model=row.model)
        except _Over:
            log.info("trial ended by somebody", trial=str(row.id))
        except Exception as error:  # the worker's boundary: whatever it is, the trial must end, and say why
            detail = _told(error)
            log.error("trial failed", trial=str(row.id), fault=detail)
            async with self.sessions() as session:
                ended = {"state": TrialState.FAILED, "detail": detail[:1000], "finished_at": utc_now()}
                await trials.advance(session, row.id, self.id, **ended)
                await session.commit()

    async def _say(self, row: TrialRow, **values: object) -> None:
        async with self.sessions() as session:
            is_ours = await trials.advance(session, row.id, self.id, **values)
            await session.commit()
        if not is_ours:
            raise _Over

    async def _evaluate(self, row: TrialRow) -> tuple[Comparison, int]:
        folder = folder_of(self.settings, row.id)
        done = await asyncio.to_thread(_begin, folder)
        new, old = [await self._bundle(row, version) for version in (row.version, row.reference)]
        known = {taxon.label for each in (new, old) for taxon in each.card.taxa}
        photos = await asyncio.to_thread(read_set, folder / SET, known, self.settings.max_photo_bytes)
        versions = [Beside(self.decoder, self.settings.provider, NoChecklists()) for _ in (new, old)]
        try:
            for version, bundle in zip(versions, (new, old), strict=True):
                await version.load(bundle)
            judged = await self._judge(row, photos, done, versions)
        finally:
            for version in versions:
                version.close()
        cards: tuple[ModelCard, ModelCard] = (new.card, old.card)
        result = await asyncio.to_thread(result_of, judged, *cards)
        return result, sum(each.new is None for each in judged)

    async def _bundle(self, row: TrialRow, version: str) -> Bundle:
        async with self.sessions() as session:
            registered = await get_version(session, row.model, version)
        return await asyncio.to_thread(
            read_registered, self.settings.store, registered.path, registered.sha256
        )

    async def _judge(
        self,
        row: TrialRow,
        photos: Sequence[LabelledPhoto],
        done: list[Judged],
        versions: Sequence[Beside],
    ) -> list[Judged]:
        """Every photo named by both versions. What is ``done``, before a kill, is not named again."""
        folder = folder_of(self.settings, row.id)
        said_at = asyncio.get_running_loop().time()
        with (folder / PROGRESS).open("a") as lines:
            lines.write("\n")  # what a kill cut off ends here
            async for judged in self._rest(folder / SET, row.model, photos, done, versions):
                done.append(judged)
                lines.write(dump(judged))
                lines.flush()
                if (now := asyncio.get_running_loop().time()) - said_at > _SAVE_S:
                    said_at = now
                    await self._say(row, num_done=len(done))
        return done

    async def _rest(
        self,
        path: Path,
        model: str,
        photos: Sequence[LabelledPhoto],
        done: Sequence[Judged],
        versions: Sequence[Beside],
    ) -> AsyncIterator[Judged]:
        places, seen = {each.place for each in done}, {each.sha256 for each in done}
        with zipfile.ZipFile(path) as archive:
            for place, photo in enumerate(photos):
                if place in places:
                    continue
                data = await asyncio.to_thread(
                    read_photo, archive, photo.member, self.settings.max_photo_bytes
                )
                sha256 = hashlib.sha256(data or b"").hexdigest()
                is_news = data is not None and sha256 not in seen
                named = await _names(versions, model, data) if data and is_news else None
                seen.add(sha256)
                yield Judged(place, sha256, photo.label, *(named or (None, None)))


def _told(error: Exception) -> str:
    """Why a trial failed: our own sentence; the kind of an error, too, that nobody foresaw."""
    if isinstance(error, AppError):
        return error.detail
    return str(error) if isinstance(error, (NoResult, BundleError)) else f"{type(error).__name__}: {error}"


def _begin(folder: Path) -> list[Judged]:
    """What was named before this start.

    Raises NoResult where it was begun too often without getting any further: a photo or a version may end the
    process that runs it, each time. A large set may well see more starts of the service.
    """
    progress, starts = folder / PROGRESS, folder / "starts"
    done = load(progress.read_text().splitlines()) if progress.exists() else []
    with starts.open("a") as file:
        file.write(f"{len(done)}\n")
    if starts.read_text().splitlines().count(str(len(done))) > MAX_STARTS:
        raise NoResult(f"It was begun {MAX_STARTS} times, and the service ended each time before it did.")
    return done


async def _names(versions: Sequence[Beside], model: str, data: bytes) -> tuple[Named, Named] | None:
    """What the candidate and the reference name a photo; None where it cannot be decoded."""
    asked = IdentifyRequest(photos=(data,), model=model, top_k=1)
    try:
        firsts = [(await version.answer(asked)).predictions[0] for version in versions]
    except (UndecodablePhoto, UnsupportedPhoto, PhotoTooLarge):
        return None
    new, old = [Named(first.taxon.label, first.probability) for first in firsts]
    return new, old
