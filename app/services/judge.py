"""May this candidate replace the deployed version? A pure rule over what their two bundles say. Knows no database.

A refusal is a default: an admin may override it with a written reason, which stays in the history.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.changes import PARTS, GroupChange, SpeciesChange
from models.comparison import Basis, Comparison, Measured, compare
from models.groups import Group
from models.words import signed

Rule = Literal["recall", "protected", "calibration", "species", "comparable"]
Share = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Policy(_Frozen):
    """What is refused. Shares and errors are on a scale of 0 to 1; ``protected`` are labels of species."""

    max_recall_fall: Share = 0.01
    recall_groups: tuple[Group, ...] = ("middle", "tail")
    max_ece_growth: Share = 0.02
    min_common_photos: Share = 0.5
    protected: tuple[str, ...] = ()


class Finding(_Frozen):
    """One thing that speaks against a promotion: the rule, the group or species it is about, and a sentence."""

    rule: Rule
    subject: str
    message: str


class Verdict(_Frozen):
    """What the gate says. ``warnings`` could not be ruled out, or could not be judged; they refuse nothing."""

    candidate: str
    deployed: str
    basis: Basis
    num_photos: int
    refusals: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    groups: tuple[GroupChange, ...]
    notes: tuple[str, ...]
    policy: Policy

    @property
    def refused(self) -> bool:
        """Whether the policy refuses the promotion."""
        return bool(self.refusals)


@dataclass(frozen=True)
class Contender:
    """One side of a judgement: the version, and what its bundle measured."""

    version: str
    measured: Measured


def judge(candidate: Contender, deployed: Contender, policy: Policy) -> Verdict:
    """Judge a candidate against the deployed version.

    Refused is: recall of the middle or the tail that falls by more than ``max_recall_fall``, the whole 95% interval
    of the change below that; any fall of a protected species; an ECE of a group that grows by more than
    ``max_ece_growth``; a species that disappears; and what cannot be compared, which nobody can call harmless.
    """
    found = compare(candidate.measured, deployed.measured)
    refusals = [
        *_incomparable(found, policy),
        *_recall_falls(found, policy),
        *_protected_falls(found, policy),
        *_calibration_worsens(found, policy),
        *(
            Finding(rule="species", subject=label, message=f"{label} is not in its species list any more.")
            for label in found.removed
        ),
    ]
    return Verdict(
        candidate=candidate.version,
        deployed=deployed.version,
        basis=found.basis,
        num_photos=found.num_photos,
        refusals=tuple(refusals),
        warnings=(
            *_falls_not_ruled_out(found, policy),
            *_unjudged(found, policy),
            *_untested(found, candidate),
        ),
        groups=found.groups,
        notes=found.notes,
        policy=policy,
    )


def _incomparable(found: Comparison, policy: Policy) -> Iterable[Finding]:
    if found.num_photos < policy.min_common_photos * found.num_reference_photos or not found.num_photos:
        yield Finding(
            rule="comparable",
            subject="all",
            message=f"Only {found.num_photos:,} of the {found.num_reference_photos:,} test photos of the deployed "
            f"version can be compared; at least {policy.min_common_photos:.0%} are needed to judge.",
        )


def _watched(found: Comparison, policy: Policy) -> Iterable[GroupChange]:
    return (found.part(group) for group in policy.recall_groups)


def _recall_falls(found: Comparison, policy: Policy) -> Iterable[Finding]:
    for group in _watched(found, policy):
        change = group.recall
        if change is not None and change.interval and change.interval[1] < -policy.max_recall_fall:
            yield Finding(
                rule="recall",
                subject=group.part,
                message=f"Recall of the {group.part} falls from {change.reference:.1%} to {change.candidate:.1%}: "
                f"by {_points(change.interval)} points with 95% confidence; {100 * policy.max_recall_fall:g} is "
                "allowed.",
            )


def _falls_not_ruled_out(found: Comparison, policy: Policy) -> Iterable[Finding]:
    for group in _watched(found, policy):
        change = group.recall
        if change is None or change.interval is None:
            continue
        low, high = change.interval
        if low < -policy.max_recall_fall <= high:
            yield Finding(
                rule="recall",
                subject=group.part,
                message=f"Recall of the {group.part} changes from {change.reference:.1%} to "
                f"{change.candidate:.1%}; its 95% interval, {signed(100 * low)} to {signed(100 * high)} points, does "
                f"not rule out a fall of more than {100 * policy.max_recall_fall:g}.",
            )


def _protected_falls(found: Comparison, policy: Policy) -> Iterable[Finding]:
    for species in _protected(found, policy):
        change = species.recall
        if change is not None and change.change < 0:
            yield Finding(
                rule="protected",
                subject=species.label,
                message=f"{species.label} is protected, and its recall falls from {change.reference:.1%} to "
                f"{change.candidate:.1%} on {species.num_photos} test photos.",
            )


def _protected(found: Comparison, policy: Policy) -> Iterable[SpeciesChange]:
    return (species for species in found.species if species.label in policy.protected)


def _calibration_worsens(found: Comparison, policy: Policy) -> Iterable[Finding]:
    for part in PARTS:
        change = found.part(part).ece
        if part != "all" and change is not None and change.change > policy.max_ece_growth:
            yield Finding(
                rule="calibration",
                subject=part,
                message=f"The calibration error (ECE) of the {part} grows from {change.reference:.3f} to "
                f"{change.candidate:.3f}, by more than {policy.max_ece_growth:g}.",
            )


def _unjudged(found: Comparison, policy: Policy) -> Iterable[Finding]:
    for group in _watched(found, policy):
        if group.num_species and group.recall is None and found.num_photos:
            yield Finding(
                rule="recall",
                subject=group.part,
                message=f"No species of the {group.part} has test photos, so nothing is known of it.",
            )
    for species in _protected(found, policy):
        if species.recall is None:
            yield Finding(
                rule="protected",
                subject=species.label,
                message=f"{species.label} is protected, but has no test photos to judge it by.",
            )


def _untested(found: Comparison, candidate: Contender) -> Iterable[Finding]:
    """New species without test photos, such as those that were added without training."""
    for species in candidate.measured.evaluation.species:
        if species.label in found.added and species.num_test_images == 0:
            yield Finding(
                rule="species",
                subject=species.label,
                message=f"{species.label} is new and has no test photos: nobody has measured how well it is found, nor "
                "what it takes from the others.",
            )


def _points(interval: tuple[float, float]) -> str:
    """A fall's interval, the smaller fall first.

    >>> _points((-0.052, -0.013))
    '1.3 to 5.2'
    """
    return f"{-100 * interval[1]:.1f} to {-100 * interval[0]:.1f}"
