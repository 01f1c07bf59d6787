"""Two evaluations of one test set without their photos -> changes with the intervals of independent samples.

Legend: C species, B bootstrap replicates; rows of 2: candidate, reference.
"""

from collections.abc import Sequence

import numpy as np

from models.changes import (
    PARTS,
    Change,
    GroupChange,
    Part,
    SpeciesChange,
    change_of,
    members,
    percentiles,
    wider,
)
from models.differences import NUM_REPLICATES, newcombe
from models.evaluation import Evaluation, SpeciesMetrics


def unpaired_changes(
    candidate: Evaluation, reference: Evaluation, common: Sequence[SpeciesMetrics], seed: int
) -> tuple[tuple[GroupChange, ...], tuple[SpeciesChange, ...]]:
    """Changes of each group and of each common species. Nothing is known of single photos."""
    others = {species.label: species for species in candidate.species}
    groups = tuple(
        _unpaired_group(
            part, [(others[each.label], each) for each in members(common, part)], seed
        ).model_copy(update={"ece": _unpaired_ece(part, candidate, reference)})
        for part in PARTS
    )
    return groups, tuple(_unpaired_species(others[each.label], each) for each in common)


def _unpaired_group(
    part: Part, members: Sequence[tuple[SpeciesMetrics, SpeciesMetrics]], seed: int
) -> GroupChange:
    tested = [(new, old) for new, old in members if new.num_test_images and old.num_test_images]
    hits_2C = np.array([[_hits(each) for each in pair] for pair in tested], dtype=np.int64).T
    trials_2C = np.array([[each.num_test_images for each in pair] for pair in tested], dtype=np.int64).T
    recall = None
    if tested:
        shares_2C = hits_2C / trials_2C
        drawn_B2C = np.random.default_rng(seed).binomial(
            trials_2C, shares_2C, size=(NUM_REPLICATES, *trials_2C.shape)
        )
        means_B2 = (drawn_B2C / trials_2C).mean(axis=2)
        pooled = newcombe(*(int(n) for row in (0, 1) for n in (hits_2C[row].sum(), trials_2C[row].sum())))
        interval = wider(percentiles(means_B2[:, 0] - means_B2[:, 1]), pooled)
        recall = change_of(shares_2C.mean(axis=1), interval)
    return GroupChange(
        part=part,
        num_species=len(members),
        num_species_tested=len(tested),
        num_photos=int(trials_2C[1].sum()) if tested else 0,
        num_gained=None,
        num_lost=None,
        recall=recall,
        ece=None,
    )


def _unpaired_ece(part: Part, candidate: Evaluation, reference: Evaluation) -> Change | None:
    """Of each version's own group of this name: without predictions nothing else is known."""
    new = candidate.ece if part == "all" else candidate.group(part).ece
    old = reference.ece if part == "all" else reference.group(part).ece
    return None if new is None or old is None else change_of((new, old), None)


def _unpaired_species(new: SpeciesMetrics, old: SpeciesMetrics) -> SpeciesChange:
    recall = None
    if new.recall is not None and old.recall is not None:
        interval = newcombe(_hits(new), new.num_test_images, _hits(old), old.num_test_images)
        recall = change_of((new.recall.value, old.recall.value), interval)
    return SpeciesChange(
        label=old.label,
        group=old.group,
        num_photos=old.num_test_images,
        num_gained=None,
        num_lost=None,
        recall=recall,
    )


def _hits(species: SpeciesMetrics) -> int:
    return round(species.recall.value * species.num_test_images) if species.recall else 0
