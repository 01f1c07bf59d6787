"""Candidates that answer beside the deployed versions: in this process, as the database says, and never in the way.

An answer is offered once it is kept. What is offered waits in a short queue, runs at a low priority while a core
is free, and is dropped where the queue is full: of all work this is the first to go.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db.repositories import shadows
from app.db.repositories.shadows import WantedShadow
from app.db.session import Sessions
from app.db.tables import utc_now
from app.db.trial_tables import ShadowAnswerRow
from app.services.answer_parts.decision import DecisionAnswer
from app.services.answers import IdentifyAnswer
from app.services.beside import Beside
from app.services.identify import IdentifyRequest
from app.services.papers import read_registered
from app.services.replicas import ShadowCounts
from app.settings import S3Place

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.shadow")

MAX_WAITING = 32
MAX_WAITING_BYTES = 64_000_000
MAX_UNSAVED = 1_000
_LOOK_S = 0.05
_RETRY_S = 30.0


@dataclass(frozen=True)
class _Offered:
    asked: IdentifyRequest
    answer: IdentifyAnswer

    @property
    def num_bytes(self) -> int:
        return sum(map(len, self.asked.photos))


@dataclass
class _Running:
    """One model's candidate here. ``failed_at``: when it could not be loaded."""

    wanted: WantedShadow
    counts: ShadowCounts
    failed_at: float | None = None


@dataclass
class Shadowing:
    """What runs beside the answers of this process. ``is_busy``: whether every core is taken by answers."""

    beside: Beside
    sessions: Sessions
    store: Path | S3Place
    is_busy: Callable[[], bool]
    _running: dict[str, _Running] = field(default_factory=dict)
    _waiting: deque[_Offered] = field(default_factory=deque)
    _num_bytes: int = 0
    _unsaved: list[ShadowAnswerRow] = field(default_factory=list)
    _worker: "asyncio.Task[None] | None" = None

    def counts(self) -> tuple[ShadowCounts, ...]:
        """How each shadow fares."""
        return tuple(self._running[model].counts for model in sorted(self._running))

    def offer(self, asked: IdentifyRequest, answer: IdentifyAnswer) -> None:
        """An answer that was kept; its candidate, if there is one, may answer too. Costs nothing and never raises."""
        running = self._running.get(answer.model.name)
        if running is None or running.failed_at is not None or running.wanted.version == answer.model.version:
            return
        if not is_chosen(answer, running.wanted.share):
            return
        offered = _Offered(replace(asked, model=answer.model.name, explain=False, idempotency=None), answer)
        full = len(self._waiting) >= MAX_WAITING or self._num_bytes + offered.num_bytes > MAX_WAITING_BYTES
        if full or len(self._unsaved) >= MAX_UNSAVED:
            _count(running, num_dropped=1)
            return
        self._waiting.append(offered)
        self._num_bytes += offered.num_bytes
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def follow_once(self) -> None:
        """Save what was answered since, then run what the database says, and nothing else."""
        await self._save()
        async with self.sessions() as session:
            wanted = {each.model: each for each in await shadows.wanted(session)}
        for model in [model for model in self._running if model not in wanted]:
            self._end(model)
        for each in wanted.values():
            await self._follow(each)

    async def stop(self) -> None:
        """Drop what waits, save what was answered."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._waiting.clear()
        self.beside.close()
        try:
            await self._save()
        except SQLAlchemyError as error:  # comparisons are worth no failed stop
            log.warning("the last comparisons were not saved", error=type(error).__name__)

    def _end(self, model: str) -> None:
        self._running.pop(model)
        self.beside.drop(model)
        log.info("shadow ended here", model=model)

    async def _follow(self, wanted: WantedShadow) -> None:
        now = asyncio.get_running_loop().time()
        if self._runs(wanted, now):
            return
        running = _Running(wanted, ShadowCounts(model=wanted.model, version=wanted.version))
        try:
            bundle = await asyncio.to_thread(read_registered, self.store, wanted.path, wanted.sha256)
            await self.beside.load(bundle)
        except Exception as error:  # whatever is wrong with this candidate, the answers must go on
            running.failed_at = now
            running.counts = running.counts.model_copy(update={"fault": str(error) or type(error).__name__})
            log.error("a candidate cannot be loaded", bundle=wanted.path, fault=str(error))
        self._running[wanted.model] = running

    def _runs(self, wanted: WantedShadow, now: float) -> bool:
        present = self._running.get(wanted.model)
        if present is None or present.wanted != wanted:
            return False
        return present.failed_at is None or now - present.failed_at < _RETRY_S

    async def _work(self) -> None:
        while self._waiting:
            if self.is_busy():
                await asyncio.sleep(_LOOK_S)
                continue
            offered = self._waiting.popleft()
            self._num_bytes -= offered.num_bytes
            await self._answer(offered)

    async def _answer(self, offered: _Offered) -> None:
        running = self._running.get(offered.answer.model.name)
        loaded = self.beside.loaded(offered.answer.model.name)
        if running is None or loaded is None or loaded.sha256 != running.wanted.sha256:
            return
        try:
            answer = await self.beside.answer(offered.asked)
        except Exception as error:  # a candidate's fault is what a shadow is there to find
            _count(running, num_failed=1)
            log.warning("a candidate could not answer", model=running.wanted.model, fault=str(error))
            return
        if answer.model.sha256 == running.wanted.sha256:
            self._unsaved.append(compared(offered.answer, answer))
            _count(running, num_compared=1)

    async def _save(self) -> None:
        rows = self._unsaved[:]
        if not rows:
            return
        async with self.sessions() as session:
            await shadows.add_answers(session, rows)
            await session.commit()
        del self._unsaved[: len(rows)]


def is_chosen(answer: IdentifyAnswer, share: float) -> bool:
    """Whether an answer is one of the share. Its id is random, and no two replicas have the same."""
    return answer.id.int % 100_000 < share * 100_000


def compared(answer: IdentifyAnswer, candidate: IdentifyAnswer) -> ShadowAnswerRow:
    """What a candidate answered beside what was answered. Both have at least one prediction."""
    first, other = answer.predictions[0], candidate.predictions[0]
    return ShadowAnswerRow(
        identification_id=answer.id,
        model=answer.model.name,
        version=candidate.model.version,
        deployed=answer.model.version,
        group=first.group,
        agrees=first.taxon.label == other.taxon.label,
        decides_alike=decided(answer.decision) == decided(candidate.decision),
        deployed_label=first.taxon.label,
        deployed_probability=first.probability,
        deployed_decision=decided(answer.decision),
        label=other.taxon.label,
        probability=other.probability,
        decision=decided(candidate.decision),
        created_at=utc_now(),
    )


def decided(decision: DecisionAnswer) -> str:
    """What a decision commits to, in a word or two.

    >>> decided(DecisionAnswer(kind="unknown", reason="Too faint.", taxon=None, probability=None))
    'unknown'
    """
    return "unknown" if decision.taxon is None else f"{decision.kind} {decision.taxon.display_name}"


def _count(running: _Running, **more: int) -> None:
    counts = running.counts
    running.counts = counts.model_copy(
        update={name: getattr(counts, name) + number for name, number in more.items()}
    )
