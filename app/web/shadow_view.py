"""A candidate beside the deployed version -> ``/admin/models/<name>/shadow``. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from app.db.repositories.shadows import Tally
from app.db.trial_tables import ShadowAnswerRow, ShadowEventRow
from app.services.registry import ModelSummary
from app.services.replicas import Replica
from app.services.shadow import MAX_REASON, Report
from app.web.naming import names_of
from app.web.views import TaxonName
from models.groups import GROUPS, Group
from models.metrics import wilson


@dataclass(frozen=True)
class AgreementRow:
    """All answers, or those of one group."""

    group: Group | None
    num_answers: int
    agreeing: str
    deciding_alike: str


@dataclass(frozen=True)
class DifferenceView:
    """An identification on which the two differ."""

    identification_id: UUID
    created_at: datetime
    group: Group | None
    deployed_name: TaxonName
    deployed_words: str
    name: TaxonName
    words: str


@dataclass(frozen=True)
class ShadowReplicaView:
    """How the candidate fares in one process."""

    host: str
    words: str
    fault: str | None


@dataclass(frozen=True)
class EventView:
    """Somebody started or stopped a shadow."""

    words: str
    actor: str
    reason: str
    created_at: datetime


@dataclass(frozen=True)
class ShadowAttempt:
    """What was refused, and what was written, so that the form keeps it."""

    title: str
    detail: str
    version: str = ""
    share: str = ""
    reason: str = ""


@dataclass(frozen=True)
class ShadowView:
    """``/admin/models/<name>/shadow``."""

    template: ClassVar[str] = "shadow.html"

    title: str
    name: str
    form_token: str
    max_reason: int
    running: str | None
    running_version: str | None
    version: str | None
    deployed: str | None
    candidates: tuple[str, ...]
    agreement: tuple[AgreementRow, ...]
    differences: tuple[DifferenceView, ...]
    older_url: str | None
    replicas: tuple[ShadowReplicaView, ...]
    events: tuple[EventView, ...]
    attempt: ShadowAttempt | None


def shadow_view(
    summary: ModelSummary,
    report: Report,
    replicas: Sequence[Replica],
    names: Mapping[str, TaxonName],
    *,
    form_token: str,
    attempt: ShadowAttempt | None,
) -> ShadowView:
    """The page. ``names``: of labels; one that is not there is shown as it is."""
    running, pair = report.running, report.pair
    deployed = summary.deployed.version if summary.deployed else None
    last = report.differences[-1] if report.has_more else None
    return ShadowView(
        title=f"Shadow of {summary.shown.title}",
        name=summary.name,
        form_token=form_token,
        max_reason=MAX_REASON,
        running=f"{running.version} answers {running.share:.1%} of the requests in the shadow."
        if running
        else None,
        running_version=running.version if running else None,
        version=pair.version if pair else None,
        deployed=pair.deployed if pair else deployed,
        candidates=tuple(row.version for row in reversed(summary.versions) if row.version != deployed),
        agreement=tuple(_agreement(tally) for tally in report.tallies),
        differences=tuple(_difference(row, names) for row in report.differences),
        older_url=f"/admin/models/{summary.name}/shadow?before={last.identification_id}" if last else None,
        replicas=_replicas(summary.name, replicas) if running else (),
        events=tuple(event_view(event) for event in report.events),
        attempt=attempt,
    )


def _agreement(tally: Tally) -> AgreementRow:
    return AgreementRow(
        group=next((group for group in GROUPS if group == tally.group), None),
        num_answers=tally.num_answers,
        agreeing=share_words(tally.num_agreeing, tally.num_answers),
        deciding_alike=share_words(tally.num_deciding_alike, tally.num_answers),
    )


def share_words(count: int, total: int) -> str:
    """A share with its 95% interval.

    >>> share_words(9, 10), share_words(0, 0)
    ('90.0% (59.6% to 98.2%)', 'none yet')
    """
    if not total:
        return "none yet"
    low, high = wilson(count, total)
    return f"{count / total:.1%} ({low:.1%} to {high:.1%})"


def _difference(row: ShadowAnswerRow, names: Mapping[str, TaxonName]) -> DifferenceView:
    return DifferenceView(
        identification_id=row.identification_id,
        created_at=row.created_at,
        group=next((group for group in GROUPS if group == row.group), None),
        deployed_name=names_of([row.deployed_label], names)[0],
        deployed_words=f"{row.deployed_probability:.0%}, decided: {row.deployed_decision}",
        name=names_of([row.label], names)[0],
        words=f"{row.probability:.0%}, decided: {row.decision}",
    )


def _replicas(model: str, found: Sequence[Replica]) -> tuple[ShadowReplicaView, ...]:
    views = []
    for replica in found:
        counts = replica.shadow(model)
        words = "not begun yet"
        if counts is not None:
            words = f"{counts.num_compared:,} compared, {counts.num_dropped:,} dropped, {counts.num_failed:,} failed"
        views.append(ShadowReplicaView(replica.host, words, counts.fault if counts else None))
    return tuple(views)


def event_view(event: ShadowEventRow) -> EventView:
    """One line of the history."""
    return EventView(
        words=f"{event.version} {event.kind} at {event.share:.1%}",
        actor=event.actor,
        reason=event.reason,
        created_at=event.created_at,
    )
