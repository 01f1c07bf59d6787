"""What every replica answers with, so that any one of them can say whether all agree. Knows no HTTP.

Each says so in the database whenever it changes, and every few seconds in between.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import replicas
from app.db.session import Sessions
from app.db.tables import utc_now
from app.db.trial_tables import ReplicaRow

REPORT_EVERY = timedelta(seconds=5)
SILENT_AFTER = timedelta(seconds=20)
_FORGOTTEN_AFTER = timedelta(minutes=10)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer replica may say more


class AnsweringVersion(_Frozen):
    """What a replica answers with for one model, and why it does not follow where it does not."""

    model: str
    version: str | None
    epoch: int
    fault: str | None = None


class ShadowCounts(_Frozen):
    """How a model's shadow fares in one replica since it began there. ``fault``: why it does not run."""

    model: str
    version: str
    num_compared: int = 0
    num_dropped: int = 0
    num_failed: int = 0
    fault: str | None = None


class ReplicaState(_Frozen):
    """Everything that a replica says."""

    answering: tuple[AnsweringVersion, ...] = ()
    shadows: tuple[ShadowCounts, ...] = ()


@dataclass(frozen=True)
class Replica:
    """A process that runs."""

    id: UUID
    host: str
    started_at: datetime
    seen_at: datetime
    state: ReplicaState

    def answering(self, model: str) -> AnsweringVersion | None:
        """What it answers with for a model."""
        return next((each for each in self.state.answering if each.model == model), None)

    def shadow(self, model: str) -> ShadowCounts | None:
        """How a model's shadow fares in it."""
        return next((each for each in self.state.shadows if each.model == model), None)


async def running(session: AsyncSession) -> list[Replica]:
    """The replicas that said something lately."""
    return [
        Replica(row.id, row.host, row.started_at, row.seen_at, ReplicaState.model_validate(row.state))
        for row in await replicas.seen_since(session, utc_now() - SILENT_AFTER)
    ]


def behind(found: Sequence[Replica], model: str, epoch: int) -> list[Replica]:
    """Those that do not answer with this epoch of a model (yet)."""
    return [each for each in found if (said := each.answering(model)) is None or said.epoch < epoch]


class Reporter:
    """Says for this process what ``state`` gives."""

    def __init__(self, sessions: Sessions, state: Callable[[], ReplicaState]) -> None:
        self.id = uuid4()
        self._sessions, self._state = sessions, state
        self._host, self._started_at = socket.gethostname()[:255], utc_now()
        self._said: ReplicaState | None = None
        self._said_at = self._started_at
        self._saying = asyncio.Lock()

    async def report_once(self) -> None:
        """Say it where it is news, or was not said for a while."""
        async with self._saying:
            await self._report()

    async def report_now(self) -> None:
        """The same for somebody who waits, and whom a database that is away concerns no more."""
        with contextlib.suppress(SQLAlchemyError):
            await self.report_once()

    async def _report(self) -> None:
        now, state = utc_now(), self._state()
        if state == self._said and now - self._said_at < REPORT_EVERY:
            return
        row = ReplicaRow(
            id=self.id,
            host=self._host,
            started_at=self._started_at,
            seen_at=now,
            state=state.model_dump(mode="json"),
        )
        async with self._sessions() as session:
            await replicas.report(session, row)
            await replicas.forget_silent(session, now - _FORGOTTEN_AFTER)
            await session.commit()
        self._said, self._said_at = state, now

    async def leave(self) -> None:
        """This process ends. Where the database is away it is forgotten a little later."""
        with contextlib.suppress(SQLAlchemyError):
            async with self._sessions() as session:
                await replicas.forget(session, self.id)
                await session.commit()
