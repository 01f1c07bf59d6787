"""Two versions on the same photos -> changes by group and by species, each with its interval.

Legend: N photos, B bootstrap replicates, b of them at once; rows of 2: candidate, reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
from models.differences import NUM_REPLICATES, calibration_errors, newcombe_paired, resampled_photos
from models.evaluation import SpeciesMetrics
from models.groups import Group
from models.predictions import Prediction
from models.resampling import figures_of, make_design, replicates


@dataclass(frozen=True)
class _Photos:
    """Photos of the same species side by side, sorted by species, of two versions (rows: candidate, reference)."""

    species_N: NDArray[np.int64]
    correct_2N: NDArray[np.bool_]
    confidence_2N: NDArray[np.float64]

    def of(self, wanted_N: NDArray[np.bool_]) -> "_Photos":
        """Some of the photos."""
        return _Photos(
            self.species_N[wanted_N], self.correct_2N[:, wanted_N], self.confidence_2N[:, wanted_N]
        )

    def counts(self) -> tuple[int, int, int, int]:
        """Photos that both, only the candidate, only the reference and neither named right."""
        new_N, old_N = self.correct_2N
        both, only_new, only_old = new_N & old_N, new_N & ~old_N, ~new_N & old_N
        return int(both.sum()), int(only_new.sum()), int(only_old.sum()), int((~new_N & ~old_N).sum())


def paired_changes(
    pairs: Sequence[tuple[Prediction, Prediction]], common: Sequence[SpeciesMetrics], seed: int
) -> tuple[tuple[GroupChange, ...], tuple[SpeciesChange, ...]]:
    """Changes of each group and of each common species. ``pairs``: (candidate, reference) of one photo each, at least
    one pair.
    """
    places = {species.label: place for place, species in enumerate(common)}
    ordered = sorted(pairs, key=lambda pair: (places[pair[0].label], pair[0].sha256))
    photos = _Photos(
        species_N=np.array([places[new.label] for new, _ in ordered], dtype=np.int64),
        correct_2N=np.array([[each.label == each.predicted for each in pair] for pair in ordered]).T,
        confidence_2N=np.array([[each.confidence for each in pair] for pair in ordered]).T,
    )
    in_part = {part: {places[each.label] for each in members(common, part)} for part in PARTS}
    recalls = _recalls(photos, [each.group for each in common], seed)
    groups = tuple(
        _group_change(
            part,
            len(in_part[part]),
            photos.of(np.isin(photos.species_N, [*in_part[part]])),
            recalls.get(_FIGURE_OF[part]),
            seed,
        )
        for part in PARTS
    )
    species = tuple(
        _species_change(each, photos.of(photos.species_N == place)) for place, each in enumerate(common)
    )
    return groups, species


_FIGURE_OF: dict[Part, str] = {part: "macro_recall" if part == "all" else part for part in PARTS}


def _recalls(photos: _Photos, groups: Sequence[Group], seed: int) -> dict[str, Change]:
    """Change of each figure of the design, with the interval of photos that are drawn anew within their species."""
    design = make_design(photos.species_N, groups)
    new_N, old_N = photos.correct_2N.astype(np.float64)
    new_F, old_F = figures_of(new_N, design), figures_of(old_N, design)
    gains_BF = replicates(new_N - old_N, design, num=NUM_REPLICATES, seed=seed)
    return {
        figure: change_of((new_F[f], old_F[f]), percentiles(gains_BF[:, f]))
        for f, figure in enumerate(design.figures)
    }


def _group_change(
    part: Part, num_species: int, photos: _Photos, recall: Change | None, seed: int
) -> GroupChange:
    num_photos = len(photos.species_N)
    counts = photos.counts()
    ece = None
    if recall is not None:
        assert recall.interval is not None
        interval = wider(recall.interval, newcombe_paired(*counts))
        recall = recall.model_copy(update={"interval": interval})
        errors_2 = calibration_errors(photos.confidence_2N, photos.correct_2N)
        ece = change_of(errors_2, percentiles(_changes_of_ece(photos, seed)))
    return GroupChange(
        part=part,
        num_species=num_species,
        num_species_tested=len(np.unique(photos.species_N)),
        num_photos=num_photos,
        num_gained=counts[1],
        num_lost=counts[2],
        recall=recall,
        ece=ece,
    )


def _changes_of_ece(photos: _Photos, seed: int) -> NDArray[np.float64]:
    """Change of ECE in each replicate [B]; both versions are looked at on the same drawn photos."""
    changes = []
    for places_bN in resampled_photos(photos.species_N, seed):
        new_b, old_b = (
            calibration_errors(photos.confidence_2N[row][places_bN], photos.correct_2N[row][places_bN])
            for row in (0, 1)
        )
        changes.append(new_b - old_b)
    return np.concatenate(changes)


def _species_change(species: SpeciesMetrics, photos: _Photos) -> SpeciesChange:
    counts = photos.counts()
    num_photos = sum(counts)
    shares_2 = photos.correct_2N.mean(axis=1) if num_photos else None
    return SpeciesChange(
        label=species.label,
        group=species.group,
        num_photos=num_photos,
        num_gained=counts[1],
        num_lost=counts[2],
        recall=None if shares_2 is None else change_of(shares_2, newcombe_paired(*counts)),
    )
