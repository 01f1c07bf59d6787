"""Shadows over HTTP, for admins and keys with the scope ``admin``: start, look, stop; and what the replicas say."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.db.trial_tables import ShadowAnswerRow, ShadowEventKind, ShadowRow
from app.services import replicas, shadow
from app.services.registry import get_model
from app.services.replicas import AnsweringVersion, Replica, ShadowCounts
from app.web.dependencies import ApiAdmin, Session
from app.web.registry import ModelName
from models.evaluation import Interval
from models.metrics import wilson

router = APIRouter(prefix="/models", tags=["shadow"])

Share = Annotated[float, Field(ge=0.001, le=1, description="Share of the model's requests, 0.001 to 1.")]
Why = Annotated[str, Field(max_length=shadow.MAX_REASON, description="Why, for those who come later.")]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class StopShadow(BaseModel):
    """End the shadow of a model."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[
        str | None, Field(max_length=32, description="Ends this one alone: 409 where another runs.")
    ] = None
    reason: Why


class StartShadow(BaseModel):
    """Let this version answer beside the deployed one; nobody gets its answers."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[str, Field(max_length=32)]
    share: Share
    reason: Why


class RunningShadow(_Answer):
    """A candidate in the shadow."""

    model: str
    version: str
    share: float
    started_by: str
    reason: str
    started_at: datetime


class Agreement(_Answer):
    """How often both name the same label first. ``group`` is that of the label that was answered."""

    group: str
    num_answers: int
    num_agreeing: int
    num_deciding_alike: int
    agreement_interval: Annotated[Interval | None, Field(description="95% Wilson interval of the share.")]


class Difference(_Answer):
    """An identification on which the two differ."""

    identification_id: UUID
    created_at: datetime
    group: str
    deployed_label: str
    deployed_probability: float
    deployed_decision: str
    label: str
    probability: float
    decision: str


class ShadowEvent(_Answer):
    """One line of the shadows' history."""

    model: str
    version: str
    kind: ShadowEventKind
    share: float
    actor: str
    reason: str
    created_at: datetime


class ReplicaEntry(_Answer):
    """A running process, and what it says of this model."""

    id: UUID
    host: str
    started_at: datetime
    seen_at: datetime
    answering: AnsweringVersion | None
    shadow: ShadowCounts | None


class ShadowReport(_Answer):
    """What is known of the candidate beside the version that is deployed now; ``running`` null: none runs."""

    running: RunningShadow | None
    version: str | None
    deployed: str | None
    agreement: tuple[Agreement, ...]
    differences: Annotated[tuple[Difference, ...], Field(description="The latest, newest first.")]
    replicas: tuple[ReplicaEntry, ...]


class Replicas(_Answer):
    """The processes that run. ``num_behind`` of them do not answer with the deployed epoch (yet)."""

    epoch: int | None
    num_behind: int
    replicas: tuple[ReplicaEntry, ...]


@router.get("/{name}/shadow")
async def shadow_report(name: ModelName, caller: ApiAdmin, session: Session) -> ShadowReport:
    """Agreement by group, the photos on which the two differ, and how the shadow fares in each replica."""
    found = await shadow.report(session, name)
    return ShadowReport(
        running=None if found.running is None else RunningShadow.model_validate(found.running),
        version=found.pair.version if found.pair else None,
        deployed=found.pair.deployed if found.pair else None,
        agreement=tuple(
            Agreement(**vars(tally), agreement_interval=interval(tally.num_agreeing, tally.num_answers))
            for tally in found.tallies
        ),
        differences=tuple(_difference(row) for row in found.differences),
        replicas=tuple(_entry(name, each) for each in await replicas.running(session)),
    )


@router.post("/{name}/shadow")
async def start_shadow(
    name: ModelName, wanted: StartShadow, caller: ApiAdmin, session: Session
) -> RunningShadow:
    """Set a candidate beside the deployed version, in every replica. 409 where one runs already, says whose."""
    given = shadow.Shadow(name, wanted.version, wanted.share, caller.actor, wanted.reason)
    row: ShadowRow = await shadow.start(session, given)
    return RunningShadow.model_validate(row)


@router.post("/{name}/shadow/stop")
async def stop_shadow(name: ModelName, wanted: StopShadow, caller: ApiAdmin, session: Session) -> ShadowEvent:
    """End the shadow of a model. What it answered is kept. 409 where none runs."""
    stopped = await shadow.stop(session, name, caller.actor, wanted.reason, version=wanted.version)
    return ShadowEvent.model_validate(stopped)


@router.get("/{name}/replicas")
async def list_replicas(name: ModelName, caller: ApiAdmin, session: Session) -> Replicas:
    """Which processes run, what each answers with, and why one does not follow where it does not."""
    deployed = (await get_model(session, name)).deployed
    found = await replicas.running(session)
    return Replicas(
        epoch=deployed.epoch if deployed else None,
        num_behind=len(replicas.behind(found, name, deployed.epoch)) if deployed else 0,
        replicas=tuple(_entry(name, each) for each in found),
    )


def interval(successes: int, trials: int) -> Interval | None:
    """A Wilson interval, or None where nothing was counted."""
    return wilson(successes, trials) if trials else None


def _entry(model: str, replica: Replica) -> ReplicaEntry:
    return ReplicaEntry(
        id=replica.id,
        host=replica.host,
        started_at=replica.started_at,
        seen_at=replica.seen_at,
        answering=replica.answering(model),
        shadow=replica.shadow(model),
    )


def _difference(row: ShadowAnswerRow) -> Difference:
    return Difference.model_validate(row)
