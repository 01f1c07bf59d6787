"""Two versions of a model -> by how much the one differs from the other, by group and by species. Pure.

On the same photos where both bundles kept their predictions, else from the two evaluations of one test set; figures of
different test sets are not set against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from models.changes import PARTS, GroupChange, Part, SpeciesChange, members
from models.evaluation import Evaluation, SpeciesMetrics
from models.paired import paired_changes
from models.predictions import Prediction, Predictions
from models.unpaired import unpaired_changes

Basis = Literal["paired", "unpaired", "none"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparison(_Frozen):
    """How a candidate differs from a reference. ``num_photos`` of ``num_reference_photos`` were compared."""

    basis: Basis
    num_photos: int
    num_reference_photos: int
    num_candidate_photos: int
    groups: tuple[GroupChange, ...]
    species: tuple[SpeciesChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    notes: tuple[str, ...]

    def part(self, name: Part) -> GroupChange:
        """The changes of one group, or of all species."""
        return next(group for group in self.groups if group.part == name)


@dataclass(frozen=True)
class Measured:
    """What a bundle says of one version: its evaluation, and what it named each test photo."""

    evaluation: Evaluation
    predictions: Predictions | None


def compare(candidate: Measured, reference: Measured, *, seed: int = 0) -> Comparison:
    """Compare two versions of a model. The interval of a group's recall is the wider of ``models.resampling``'s over
    photos within species and Newcombe's over the group's photos.
    """
    known = {species.label for species in candidate.evaluation.species}
    common = [species for species in reference.evaluation.species if species.label in known]
    shared = _shared(candidate, reference, {species.label for species in common})
    if shared is not None and shared.pairs:
        basis: Basis = "paired"
        groups, species = paired_changes(shared.pairs, common, seed)
    elif shared is None and _test_set(candidate.evaluation) == _test_set(reference.evaluation):
        basis = "unpaired"
        groups, species = unpaired_changes(candidate.evaluation, reference.evaluation, common, seed)
    else:
        basis = "none"
        groups, species = _nothing(common)
    labels = {each.label for each in reference.evaluation.species}
    return Comparison(
        basis=basis,
        num_photos=groups[0].num_photos,
        num_reference_photos=reference.evaluation.num_test_images,
        num_candidate_photos=candidate.evaluation.num_test_images,
        groups=groups,
        species=species,
        added=tuple(each.label for each in candidate.evaluation.species if each.label not in labels),
        removed=tuple(each.label for each in reference.evaluation.species if each.label not in known),
        notes=_notes(basis, shared, candidate, reference),
    )


def _test_set(evaluation: Evaluation) -> tuple[str, str, int]:
    return evaluation.data_sha256, evaluation.split, evaluation.num_test_images


@dataclass(frozen=True)
class _Shared:
    """Photos that both versions were tested on. ``num_relabelled`` of them have another label now."""

    pairs: tuple[tuple[Prediction, Prediction], ...]
    num_relabelled: int


def _shared(candidate: Measured, reference: Measured, common: set[str]) -> _Shared | None:
    """Pairs (candidate, reference) of predictions for the same photo and label; None unless both kept theirs."""
    if candidate.predictions is None or reference.predictions is None:
        return None
    by_photo = {each.sha256: each for each in candidate.predictions}
    same = [(by_photo[each.sha256], each) for each in reference.predictions if each.sha256 in by_photo]
    pairs = tuple(pair for pair in same if pair[0].label == pair[1].label and pair[1].label in common)
    return _Shared(pairs, sum(new.label != old.label for new, old in same))


def _notes(basis: Basis, shared: _Shared | None, candidate: Measured, reference: Measured) -> tuple[str, ...]:
    if basis == "none":
        return ("The two versions were tested on different photos, so their figures cannot be compared.",)
    if basis == "unpaired":
        return (
            "At least one of the bundles has no predictions.csv, so photos cannot be compared one by one: the "
            "intervals are those of two independent samples, and wider than they need be.",
        )
    assert shared is not None
    notes = []
    total = reference.evaluation.num_test_images
    if len(shared.pairs) < total or len(shared.pairs) < candidate.evaluation.num_test_images:
        notes.append(
            f"The versions have {len(shared.pairs):,} test photos in common, of {total:,} of the one and "
            f"{candidate.evaluation.num_test_images:,} of the other; only these are compared."
        )
    if shared.num_relabelled:
        notes.append(f"{shared.num_relabelled:,} photos have another label now; they are left out.")
    return tuple(notes)


def _nothing(
    common: Sequence[SpeciesMetrics],
) -> tuple[tuple[GroupChange, ...], tuple[SpeciesChange, ...]]:
    groups = tuple(
        GroupChange(
            part=part,
            num_species=len(members(common, part)),
            num_species_tested=0,
            num_photos=0,
            num_gained=None,
            num_lost=None,
            recall=None,
            ece=None,
        )
        for part in PARTS
    )
    return groups, ()
