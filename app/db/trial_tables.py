"""Tables of what surrounds a promotion: replicas, shadows, evaluations on uploaded photos. ``tables`` has the rest."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Double, ForeignKey, ForeignKeyConstraint, Index, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables import Table, utc_now, words_of


class ReplicaRow(Table):
    """A running process, as it last said. ``state``: what it answers with, and what is wrong with it."""

    __tablename__ = "replica"

    id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)
    state: Mapped[dict[str, Any]]


class ShadowRow(Table):
    """A candidate that answers a share of a model's requests beside the deployed version. One a model."""

    __tablename__ = "shadow"
    __table_args__ = (
        ForeignKeyConstraint(
            ["model", "version"], ["version.model", "version.version"], name="fk_shadow_version"
        ),
        CheckConstraint("share > 0 AND share <= 1", name="share_in_range"),
    )

    model: Mapped[str] = mapped_column(ForeignKey("model.name"), primary_key=True)
    version: Mapped[str] = mapped_column(String(32))
    share: Mapped[float] = mapped_column(Double)
    started_by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(default=utc_now)


class ShadowEventKind(StrEnum):
    """What happened to a shadow."""

    STARTED = "started"
    STOPPED = "stopped"


class ShadowEventRow(Table):
    """The history of shadows. Triggers of the database refuse to change or delete a row."""

    __tablename__ = "shadow_event"
    __table_args__ = (
        ForeignKeyConstraint(
            ["model", "version"], ["version.model", "version.version"], name="fk_shadow_event_version"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    model: Mapped[str] = mapped_column(ForeignKey("model.name"), index=True)
    version: Mapped[str] = mapped_column(String(32))
    kind: Mapped[ShadowEventKind] = mapped_column(words_of(ShadowEventKind))
    share: Mapped[float] = mapped_column(Double)
    actor: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ShadowAnswerRow(Table):
    """What a candidate would have answered, beside what was answered. Goes with its identification.

    ``group``: of the label that was answered, in the deployed version. ``agrees``: both name the same label first;
    ``decides_alike``: both commit to the same.
    """

    __tablename__ = "shadow_answer"
    __table_args__ = (Index("ix_shadow_answer_pair", "model", "version", "deployed", "created_at"),)

    identification_id: Mapped[UUID] = mapped_column(
        ForeignKey("identification.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    model: Mapped[str] = mapped_column(String(64))
    deployed: Mapped[str] = mapped_column(String(32))
    group: Mapped[str] = mapped_column(String(16))
    agrees: Mapped[bool]
    decides_alike: Mapped[bool]
    deployed_label: Mapped[str] = mapped_column(String(200))
    deployed_probability: Mapped[float] = mapped_column(Double)
    deployed_decision: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(String(200))
    probability: Mapped[float] = mapped_column(Double)
    decision: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class TrialState(StrEnum):
    """How far an evaluation on uploaded photos is. The last three are for good."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TrialRow(Table):
    """Two versions evaluated on photos that an admin uploaded. The photos lie with the process that took them.

    ``worker`` and ``leased_until``: who works on it; when it says nothing for that long, somebody else may.
    """

    __tablename__ = "trial"
    __table_args__ = (
        ForeignKeyConstraint(
            ["model", "version"], ["version.model", "version.version"], name="fk_trial_version"
        ),
        ForeignKeyConstraint(
            ["model", "reference"], ["version.model", "version.version"], name="fk_trial_reference"
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True, default=uuid4)
    model: Mapped[str] = mapped_column(ForeignKey("model.name"), index=True)
    version: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(String(32))
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    state: Mapped[TrialState] = mapped_column(words_of(TrialState), default=TrialState.WAITING, index=True)
    num_photos: Mapped[int]
    num_done: Mapped[int] = mapped_column(default=0)
    num_left_out: Mapped[int] = mapped_column(default=0)
    detail: Mapped[str] = mapped_column(Text, default="")
    worker: Mapped[UUID | None] = mapped_column(Uuid())
    leased_until: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    result: Mapped[str | None] = mapped_column(Text)
