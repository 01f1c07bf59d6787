"""How two versions differ -> ``/compare``. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from app.db.trial_tables import TrialRow, TrialState
from app.services.cost import Cost
from app.web.formatting import signed_points
from app.web.naming import names_by_label, names_of
from app.web.views import TaxonName
from models.card import ModelCard
from models.changes import Change, GroupChange, Part, SpeciesChange
from models.comparison import Comparison
from models.groups import Group
from models.words import signed

NOTHING = "nothing to compare"


@dataclass(frozen=True)
class GroupRow:
    """A group, or all species: recall and calibration before and after."""

    part: Part
    group: Group | None
    num_species: int
    num_photos: int
    recall: str
    recall_change: str
    ece: str
    ece_change: str
    gained: str
    lost: str


@dataclass(frozen=True)
class SpeciesRow:
    """A species that is named better or worse, and on how many photos."""

    name: TaxonName
    group: Group
    num_photos: int
    recall: str
    change: str
    gained: str
    lost: str


@dataclass(frozen=True)
class ComparisonTables:
    """How two versions differ, in tables."""

    version: str
    reference: str
    basis: str
    notes: tuple[str, ...]
    groups: tuple[GroupRow, ...]
    losses: tuple[SpeciesRow, ...]
    gains: tuple[SpeciesRow, ...]
    num_unchanged: int
    added: tuple[TaxonName, ...]
    removed: tuple[TaxonName, ...]
    group_rule: str


@dataclass(frozen=True)
class CostRow:
    """Size and speed of one version."""

    version: str
    size: str
    speed: str
    slowest: str
    measured: str


@dataclass(frozen=True)
class TrialLine:
    """An evaluation on uploaded photos, in a list."""

    id: UUID
    created_at: datetime
    created_by: str
    words: str


@dataclass(frozen=True)
class CompareView:
    """``/compare``: a version against another. ``trials`` None: who looks may not ask for one."""

    template: ClassVar[str] = "compare.html"

    title: str
    name: str
    version: str
    reference: str
    choices: tuple[str, ...]
    tables: ComparisonTables
    costs: tuple[CostRow, ...]
    trials: tuple[TrialLine, ...] | None
    form_token: str
    max_megabytes: int


def comparison_tables(new: ModelCard, old: ModelCard, found: Comparison) -> ComparisonTables:
    """The tables of a comparison."""
    names = {**names_by_label(old.taxa), **names_by_label(new.taxa)}
    changed = [species for species in found.species if species.recall and species.recall.change]
    return ComparisonTables(
        version=new.version,
        reference=old.version,
        basis=_basis(found),
        notes=found.notes,
        groups=tuple(_group_row(change) for change in found.groups),
        losses=_species_rows((each for each in changed if _change(each) < 0), names),
        gains=_species_rows((each for each in changed if _change(each) > 0), names),
        num_unchanged=sum(each.recall is not None for each in found.species) - len(changed),
        added=names_of(found.added, names),
        removed=names_of(found.removed, names),
        group_rule=old.group_rule.sentence(),
    )


def cost_row(version: str, cost: Cost) -> CostRow:
    """A version's cost in words."""
    provider = cost.provider.removesuffix("ExecutionProvider")
    return CostRow(
        version=version,
        size=f"{cost.size_bytes / 1e6:,.2f} MB",
        speed=f"{cost.ms_per_photo:,.2f} ms",
        slowest=f"{cost.ms_slowest:,.2f} ms",
        measured=f"{cost.num_runs} runs, {provider}, {cost.measured_at:%Y-%m-%d %H:%M} UTC",
    )


def trial_line(row: TrialRow) -> TrialLine:
    """How far an evaluation is, in words."""
    words = f"{row.state.value}, {row.num_done:,} of {row.num_photos:,} photos"
    if row.state is TrialState.DONE:
        words = f"done, {row.num_photos:,} photos"
    return TrialLine(row.id, row.created_at, row.created_by, words)


def _basis(found: Comparison) -> str:
    photos = f"{found.num_photos:,} test photos"
    return {
        "paired": f"Compared photo by photo, on the same {photos}.",
        "unpaired": f"Compared by the two evaluations of one test set of {photos}.",
        "none": "These figures cannot be compared.",
    }[found.basis]


def _change(species: SpeciesChange) -> float:
    assert species.recall is not None
    return species.recall.change


def _group_row(change: GroupChange) -> GroupRow:
    return GroupRow(
        part=change.part,
        group=None if change.part == "all" else change.part,
        num_species=change.num_species,
        num_photos=change.num_photos,
        recall=_shares(change.recall),
        recall_change=change_words(change.recall),
        ece=NOTHING if change.ece is None else f"{change.ece.reference:.3f} to {change.ece.candidate:.3f}",
        ece_change="" if change.ece is None else signed(change.ece.change, digits=3),
        gained=_count(change.num_gained),
        lost=_count(change.num_lost),
    )


def _species_rows(species: Iterable[SpeciesChange], names: Mapping[str, TaxonName]) -> tuple[SpeciesRow, ...]:
    """The largest change first."""
    ordered = sorted(species, key=lambda each: (-abs(_change(each)), -each.num_photos, each.label))
    return tuple(
        SpeciesRow(
            name=names[each.label],
            group=each.group,
            num_photos=each.num_photos,
            recall=_shares(each.recall),
            change=change_words(each.recall),
            gained=_count(each.num_gained),
            lost=_count(each.num_lost),
        )
        for each in ordered
    )


def _shares(change: Change | None) -> str:
    return NOTHING if change is None else f"{change.reference:.1%} to {change.candidate:.1%}"


def change_words(change: Change | None) -> str:
    """A change of a proportion in points, with its interval.

    >>> change_words(Change(reference=0.9, candidate=0.95, change=0.05, interval=(-0.01, 0.09)))
    '+5.0 points (−1.0 to +9.0)'
    """
    if change is None:
        return ""
    words = f"{signed_points(change.change)} points"
    if change.interval is None:
        return words
    low, high = change.interval
    return f"{words} ({signed_points(low)} to {signed_points(high)})"


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"
