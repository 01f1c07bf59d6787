"""Models and their versions -> ``/admin/models``. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from app.db.tables import PromotionRow
from app.services.registry import ModelSummary
from app.web.formatting import estimate_words
from app.web.performance_blocks import group_recall
from models.groups import GROUPS, Group
from models.metrics import Evaluation


@dataclass(frozen=True)
class VersionView:
    """One version: what was measured of it, and whether it is deployed. ``accuracy`` None: unreadable."""

    version: str
    sha256: str
    added_at: datetime
    num_species: int
    deployed: bool
    accuracy: str | None
    groups: tuple[tuple[Group, str], ...]
    group_rule: str


@dataclass(frozen=True)
class PromotionView:
    """One line of the history."""

    epoch: int
    change: str
    actor: str
    reason: str
    created_at: datetime


@dataclass(frozen=True)
class AdminModelView:
    """One model with its versions, newest first."""

    name: str
    title: str
    deployed: str | None
    epoch: int | None
    versions: tuple[VersionView, ...]
    history: tuple[PromotionView, ...]
    rollback_to: str | None


@dataclass(frozen=True)
class Attempt:
    """What somebody just tried to do here and was refused, so that the form keeps what they wrote."""

    model: str
    version: str
    reason: str
    title: str
    detail: str


@dataclass(frozen=True)
class AdminModelsView:
    """``/admin/models``."""

    template: ClassVar[str] = "admin_models.html"
    title: ClassVar[str] = "Models"

    models: tuple[AdminModelView, ...]
    faults: tuple[str, ...]
    form_token: str
    needs_password: bool
    max_reason: int
    done: str | None
    attempt: Attempt | None


Papers = Mapping[tuple[str, str], tuple[Evaluation, str]]
"""Evaluation and group rule by model and version; none where a bundle cannot be read."""


def admin_model_view(
    summary: ModelSummary, history: Sequence[PromotionRow], papers: Papers
) -> AdminModelView:
    """One model with what an admin needs to decide."""
    deployed = summary.deployed
    return AdminModelView(
        name=summary.name,
        title=summary.shown.title,
        deployed=deployed.version if deployed else None,
        epoch=deployed.epoch if deployed else None,
        versions=tuple(
            _version(summary, index, papers.get((summary.name, row.version)))
            for index, row in reversed(list(enumerate(summary.versions)))
        ),
        history=tuple(
            PromotionView(row.epoch, _change(row), row.actor, row.reason, row.created_at) for row in history
        ),
        rollback_to=history[0].from_version if history else None,
    )


def _version(summary: ModelSummary, index: int, papers: tuple[Evaluation, str] | None) -> VersionView:
    row = summary.versions[index]
    evaluation, rule = papers if papers else (None, "")
    return VersionView(
        version=row.version,
        sha256=row.sha256,
        added_at=row.added_at,
        num_species=row.num_species,
        deployed=summary.deployed is not None and summary.deployed.version == row.version,
        accuracy=estimate_words(evaluation.accuracy) if evaluation else None,
        groups=tuple((group, group_recall(evaluation.group(group))) for group in GROUPS)
        if evaluation
        else (),
        group_rule=rule,
    )


def _change(row: PromotionRow) -> str:
    return f"{row.from_version} to {row.to_version}" if row.from_version else f"{row.to_version}, the first"
