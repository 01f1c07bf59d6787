"""Models and their versions -> ``/admin/models`` and the history of one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from app.db.tables import AdditionRow, PromotionRow, ProtectedSpeciesRow
from app.db.trial_tables import ShadowEventRow
from app.services.history import verdict_word
from app.services.judge import Verdict
from app.services.promotion import version_before
from app.services.registry import ModelSummary
from app.web.comparison_view import NOTHING, change_words
from app.web.formatting import estimate_words
from app.web.performance_blocks import group_recall
from app.web.replicas_view import ReplicasView, Running, replicas_view
from app.web.shadow_view import EventView, event_view
from models.changes import GroupChange
from models.groups import GROUPS, Group
from models.metrics import Evaluation


@dataclass(frozen=True)
class VerdictView:
    """What the gate says of a candidate. ``groups``: each with what its recall does."""

    against: str
    refused: bool
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    groups: tuple[tuple[Group, str], ...]


@dataclass(frozen=True)
class VersionView:
    """One version: what was measured of it, and whether it is deployed. ``accuracy`` None: unreadable.

    ``takes_back``: deploying it is the rollback of the last promotion. ``verdict`` None: it is not judged.
    ``needs_override``: the gate refuses it, or cannot judge it for want of the deployed version's bundle.
    """

    version: str
    sha256: str
    added_at: datetime
    num_species: int
    deployed: bool
    takes_back: bool
    accuracy: str | None
    groups: tuple[tuple[Group, str], ...]
    group_rule: str
    verdict: VerdictView | None
    needs_override: bool


@dataclass(frozen=True)
class PromotionView:
    """One line of the history. ``verdict``: passed, overridden, refused (a rollback may be) or not judged."""

    epoch: int
    change: str
    kind: str
    actor: str
    reason: str
    created_at: datetime
    verdict: str
    override_reason: str | None
    findings: tuple[str, ...]
    evaluations: tuple[str | None, str | None]


@dataclass(frozen=True)
class AdditionView:
    """Who added a version. ``signed_by``: name of the trusted key under it, if there is one."""

    version: str
    actor: str
    signed_by: str | None
    sha256: str
    created_at: datetime


@dataclass(frozen=True)
class ProtectedView:
    """A species that no promotion may make worse."""

    label: str
    added_by: str
    added_at: datetime


@dataclass(frozen=True)
class AdminModelView:
    """One model with its versions, newest first.

    ``is_default``: it answers where no model is named, or would, once a version of it is deployed. ``unreadable``: the
    deployed version's bundle is damaged or gone, so that nothing can be compared with it.
    """

    name: str
    title: str
    deployed: str | None
    epoch: int | None
    is_default: bool
    unreadable: bool
    replicas: ReplicasView | None
    shadow: str | None
    versions: tuple[VersionView, ...]
    history: tuple[PromotionView, ...]
    protected: tuple[ProtectedView, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Attempt:
    """What somebody just tried to do here and was refused, so that the form keeps what they wrote."""

    model: str
    version: str
    reason: str
    override: str
    wanted: str
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


@dataclass(frozen=True)
class HistoryView:
    """``/admin/models/<name>/history``."""

    template: ClassVar[str] = "admin_history.html"

    title: str
    name: str
    history: tuple[PromotionView, ...]
    shadows: tuple[EventView, ...]
    additions: tuple[AdditionView, ...]


@dataclass(frozen=True)
class VersionFacts:
    """What is known of one version besides its row."""

    evaluation: Evaluation
    group_rule: str
    labels: tuple[str, ...]
    verdict: Verdict | None


Facts = Mapping[tuple[str, str], VersionFacts]
"""By model and version; none where a bundle cannot be read."""


def admin_model_view(
    summary: ModelSummary,
    history: Sequence[PromotionRow],
    protected: Sequence[ProtectedSpeciesRow],
    facts: Facts,
    running: Running,
    *,
    is_default: bool,
) -> AdminModelView:
    """One model with what an admin needs to decide."""
    deployed = summary.deployed
    unreadable = deployed is not None and (summary.name, deployed.version) not in facts
    shown = facts.get((summary.name, summary.shown.version))
    before = version_before(history)
    return AdminModelView(
        name=summary.name,
        title=summary.shown.title,
        deployed=deployed.version if deployed else None,
        epoch=deployed.epoch if deployed else None,
        is_default=is_default,
        unreadable=unreadable,
        replicas=replicas_view(running.replicas, summary.name, deployed.epoch) if deployed else None,
        shadow=running.shadow,
        versions=tuple(
            _version(summary, index, before, facts.get((summary.name, row.version)), unreadable)
            for index, row in reversed(list(enumerate(summary.versions)))
        ),
        history=tuple(_promotion(row) for row in history),
        protected=tuple(ProtectedView(row.label, row.added_by, row.added_at) for row in protected),
        labels=shown.labels if shown else (),
    )


def history_view(
    title: str,
    name: str,
    history: Sequence[PromotionRow],
    shadows: Sequence[ShadowEventRow],
    additions: Sequence[AdditionRow],
) -> HistoryView:
    """Every promotion of a model, every shadow and every added version, newest first."""
    return HistoryView(
        f"History of {title}",
        name,
        tuple(_promotion(row) for row in history),
        tuple(event_view(event) for event in shadows),
        tuple(
            AdditionView(row.version, row.actor, row.signed_by, row.sha256, row.created_at)
            for row in additions
        ),
    )


def _version(
    summary: ModelSummary, index: int, before: str | None, facts: VersionFacts | None, unjudged: bool
) -> VersionView:
    row = summary.versions[index]
    verdict = facts.verdict if facts else None
    evaluation = facts.evaluation if facts else None
    return VersionView(
        version=row.version,
        sha256=row.sha256,
        added_at=row.added_at,
        num_species=row.num_species,
        deployed=summary.deployed is not None and summary.deployed.version == row.version,
        takes_back=row.version == before,
        accuracy=estimate_words(evaluation.accuracy) if evaluation else None,
        groups=tuple((group, group_recall(evaluation.group(group))) for group in GROUPS)
        if evaluation
        else (),
        group_rule=facts.group_rule if facts else "",
        verdict=_verdict(verdict) if verdict else None,
        needs_override=verdict.refused if verdict else unjudged,
    )


def _verdict(verdict: Verdict) -> VerdictView:
    return VerdictView(
        against=verdict.deployed,
        refused=verdict.refused,
        refusals=tuple(finding.message for finding in verdict.refusals),
        warnings=tuple(finding.message for finding in verdict.warnings),
        notes=verdict.notes,
        groups=tuple(
            (change.part, recall_words(change)) for change in verdict.groups if change.part != "all"
        ),
    )


def recall_words(change: GroupChange) -> str:
    """What a group's recall does.

    >>> from models.changes import Change
    >>> recall = Change(reference=0.9, candidate=0.95, change=0.05, interval=(0.01, 0.09))
    >>> recall_words(GroupChange(part="tail", num_species=1, num_species_tested=1, num_photos=20, num_gained=1,
    ...     num_lost=0, recall=recall, ece=None))
    '90.0% to 95.0%: +5.0 points (+1.0 to +9.0)'
    """
    recall = change.recall
    if recall is None:
        return NOTHING
    return f"{recall.reference:.1%} to {recall.candidate:.1%}: {change_words(recall)}"


def _promotion(row: PromotionRow) -> PromotionView:
    verdict = row.verdict or {}
    return PromotionView(
        epoch=row.epoch,
        change=f"{row.from_version} to {row.to_version}"
        if row.from_version
        else f"{row.to_version}, the first",
        kind=row.kind.value,
        actor=row.actor,
        reason=row.reason,
        created_at=row.created_at,
        verdict=verdict_word(row),
        override_reason=row.override_reason,
        findings=tuple(finding["message"] for finding in verdict.get("refusals", ())),
        evaluations=(row.from_evaluation_sha256, row.to_evaluation_sha256),
    )
