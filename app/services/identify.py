"""One request about one animal -> one saved answer.

``answer`` takes the time and touches no database; what it returns is sent once it is kept, never before.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.keeper import Kept, NewIdentification, NewPhoto
from app.db.repositories import identifications
from app.db.tables import utc_now
from app.errors import IdempotencyConflict, NoModelDeployed, NotFound
from app.inference.decode import DecodePool
from app.inference.decode_process import DecodedPhoto
from app.inference.engine import DeployedModel, Engine, EngineAnswer
from app.services.accounts import ANONYMOUS, Caller
from app.services.answers import IdentifyAnswer
from app.services.checklist_choice import ActiveChecklist, Chosen, check_asked, choose
from app.services.checklists import NO_LIST
from app.services.compose import SeenPhoto, compose
from app.services.decoding import decode_photo
from app.services.explain import explain
from app.services.prediction_sets import COVERAGE
from app.services.sighting import Seen, Sighting, seen_at
from models.target_prior import Matched, match_species


@dataclass(frozen=True)
class Idempotency:
    """An Idempotency-Key, whose it is, and the hash of what was asked under it."""

    scope: str
    key: str
    body_sha256: str


@dataclass(frozen=True)
class IdentifyRequest:
    """Photos of one animal, and how the answer is wanted. ``reliability`` None: as the card says.

    ``prior``: the name of a checklist; ``none`` for none, None or ``auto`` for the one that holds there and then.
    """

    photos: tuple[bytes, ...]
    model: str | None = None
    top_k: int = 5
    reliability: float | None = None
    coverage: float = COVERAGE
    explain: bool = False
    prior: str | None = None
    sighting: Sighting = field(default_factory=Sighting)
    caller: Caller = ANONYMOUS
    idempotency: Idempotency | None = None


@dataclass(frozen=True)
class Answered:
    """An answer that is not saved yet. It must not be sent before it is."""

    answer: IdentifyAnswer
    new: NewIdentification


@dataclass(frozen=True)
class _Seen:
    """One photo: decoded, kept under a name, and what the model says of it."""

    photo: DecodedPhoto
    stored_name: str
    outputs: EngineAnswer


class KeepsPhotos(Protocol):
    """Where the viewing copies go."""

    async def keep(self, jpeg: bytes) -> str:
        """Store a photo and return its name."""


class KeepsNone:
    """For answers that nobody will look at."""

    async def keep(self, jpeg: bytes) -> str:
        """Nothing is stored; there is no name."""
        return ""


class KnowsChecklists(Protocol):
    """Which checklists hold."""

    async def of(self, model: str) -> tuple[ActiveChecklist, ...]:
        """The lists of a model that are in use."""
        ...

    async def matched(self, active: ActiveChecklist, deployed: DeployedModel) -> Matched:
        """A list beside the species of a version."""
        ...


class NoChecklists:
    """For answers that are the model's alone."""

    async def of(self, model: str) -> tuple[ActiveChecklist, ...]:
        """None are in use."""
        return ()

    async def matched(self, active: ActiveChecklist, deployed: DeployedModel) -> Matched:
        """As for every list."""
        return match_species(active.species, deployed.card.taxa)


class IdentifyService:
    """Names animals with what is deployed, and keeps what it answered."""

    def __init__(
        self,
        engine: Engine,
        decoder: DecodePool,
        photo_files: KeepsPhotos,
        lists: KnowsChecklists,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._engine = engine
        self._decoder = decoder
        self._photo_files = photo_files
        self._lists = lists
        self._now = now

    async def replay(self, session: AsyncSession, idempotency: Idempotency) -> str | None:
        """The answer this very request got before, as JSON. Raises IdempotencyConflict for another one."""
        row = await identifications.by_key(session, idempotency.scope, idempotency.key)
        if row is None:
            return None
        if row.body_sha256 != idempotency.body_sha256:
            raise _key_taken()
        return row.response

    async def answer(self, request: IdentifyRequest) -> Answered:
        """Decode, run, decide; the photos are on the disk when this returns.

        Raises NotFound, NoModelDeployed, UnsupportedPhoto, PhotoTooLarge, UndecodablePhoto, DiskFull, Busy.
        """
        deployed = self._deployed(request.model)
        lists = await self._lists_for(request, deployed)
        several = len(request.photos) > 1
        seen = await asyncio.gather(
            *(
                self._see(data, deployed, f"Photo {number}: " if several else "", features=request.explain)
                for number, data in enumerate(request.photos, start=1)
            )
        )
        reliability = request.reliability or deployed.card.reliability
        explanation = (
            await asyncio.to_thread(explain, seen[0].photo, seen[0].outputs, deployed)
            if request.explain
            else None
        )
        where = seen_at([each.photo.info.metadata for each in seen], request.sighting)
        answer = compose(
            uuid4(),
            self._now(),
            deployed,
            np.concatenate([each.outputs.logits for each in seen]),
            [SeenPhoto(data, each.photo) for data, each in zip(request.photos, seen, strict=True)],
            embeddings=np.concatenate([each.outputs.embedding for each in seen]),
            top_k=request.top_k,
            reliability=reliability,
            coverage=request.coverage,
            sighting=request.sighting,
            disagreements=where.disagreements,
            explanation=explanation,
            listed=await self._listed(request, deployed, lists, where),
        )
        names = [each.stored_name for each in seen]
        return Answered(answer, _new(answer, names, request, reliability))

    def settle(self, answered: Answered, kept: Kept) -> str:
        """The JSON to send, now that something is committed: this answer, or the one its key got before.

        Raises IdempotencyConflict where the key was meanwhile used for another request.
        """
        if kept.body_sha256 != answered.new.body_sha256:
            raise _key_taken()
        return kept.response

    async def _lists_for(
        self, request: IdentifyRequest, deployed: DeployedModel
    ) -> tuple[ActiveChecklist, ...]:
        """The lists that could hold. A name that is none of them is refused before anything is decoded."""
        if request.prior == NO_LIST:
            return ()
        lists = await self._lists.of(deployed.card.name)
        check_asked(lists, request.prior, deployed.card.name)
        return lists

    async def _listed(
        self,
        request: IdentifyRequest,
        deployed: DeployedModel,
        lists: tuple[ActiveChecklist, ...],
        where: Seen,
    ) -> tuple[Chosen, Matched] | None:
        """The list that holds there and then, beside the species of the version that answers."""
        chosen = choose(lists, request.prior, where.positions, where.week)
        return None if chosen is None else (chosen, await self._lists.matched(chosen.active, deployed))

    def _deployed(self, name: str | None) -> DeployedModel:
        lacking = self._engine.lacks(name)
        if lacking is not None:
            raise NoModelDeployed(self._lacking(lacking))
        try:
            return self._engine.get(name)
        except KeyError:
            names = [deployed.card.name for deployed in self._engine.deployed()]
        if not names:
            raise NoModelDeployed
        raise NotFound(f"No model named {name!r} is deployed here; there is {', '.join(names)}.")

    def _lacking(self, name: str) -> str:
        others = ", ".join(each.card.name for each in self._engine.deployed())
        named = f" These answer where they are named: {others}." if others else ""
        return f"The deployed version of {name} cannot be loaded here; an admin can see why.{named}"

    async def _see(self, data: bytes, deployed: DeployedModel, name: str, *, features: bool) -> _Seen:
        """Decode and keep one photo, and run the model on it while its viewing copy is made and kept."""
        runs: list[asyncio.Task[EngineAnswer]] = []

        def run(pixels: NDArray[np.uint8]) -> None:
            if not runs:  # a photo that is decoded again is the same photo
                runs.append(asyncio.create_task(self._engine.run(deployed, pixels[None], features)))

        try:
            photo = await decode_photo(self._decoder, data, deployed.card.preprocessing, name, run)
            stored_name = await self._photo_files.keep(photo.view_jpeg)
            return _Seen(photo, stored_name, await runs[0])
        finally:
            for task in runs:
                task.cancel()  # of a photo that is refused after all; of one that is done, nothing


def _new(
    answer: IdentifyAnswer, names: list[str], request: IdentifyRequest, reliability: float
) -> NewIdentification:
    idempotency = request.idempotency
    return NewIdentification(
        id=answer.id,
        created_at=answer.created_at,
        model=answer.model.name,
        version=answer.model.version,
        sha256=answer.model.sha256,
        epoch=answer.model.epoch,
        user_id=request.caller.user_id,
        is_anonymous=request.caller.is_anonymous,
        reliability=reliability,
        top_k=request.top_k,
        response=answer.model_dump_json(),
        idempotency_scope=idempotency.scope if idempotency else None,
        idempotency_key=idempotency.key if idempotency else None,
        body_sha256=idempotency.body_sha256 if idempotency else None,
        photos=tuple(
            NewPhoto(position, image.sha256, image.width_px, image.height_px, image.format, name)
            for position, (image, name) in enumerate(zip(answer.images, names, strict=True))
        ),
    )


def _key_taken() -> IdempotencyConflict:
    return IdempotencyConflict(
        "This Idempotency-Key was used for a request with other photos or parameters. Take a new key."
    )
