"""Two versions on the same photos -> changes by group and by species, each with its interval.

Legend: N photos, B bootstrap replicates, b of them at once; rows of 2: candidate, reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.changes import PARTS, GroupChange, Part, SpeciesChange, change_of, members, percentiles, wider
from models.differences import calibration_errors, mean_recall, newcombe_paired, resampled_photos
from models.evaluation import SpeciesMetrics
from models.predictions import Prediction


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
    """Changes of each group and of each common species. ``pairs``: (candidate, reference) of one photo each."""
    places = {species.label: place for place, species in enumerate(common)}
    ordered = sorted(pairs, key=lambda pair: (places[pair[0].label], pair[0].sha256))
    photos = _Photos(
        species_N=np.array([places[new.label] for new, _ in ordered], dtype=np.int64),
        correct_2N=np.array([[each.label == each.predicted for each in pair] for pair in ordered]).T,
        confidence_2N=np.array([[each.confidence for each in pair] for pair in ordered]).T,
    )
    in_part = {part: {places[each.label] for each in members(common, part)} for part in PARTS}
    groups = tuple(
        _group_change(part, len(in_part[part]), photos.of(np.isin(photos.species_N, [*in_part[part]])), seed)
        for part in PARTS
    )
    species = tuple(
        _species_change(each, photos.of(photos.species_N == place)) for place, each in enumerate(common)
    )
    return groups, species


def _group_change(part: Part, num_species: int, photos: _Photos, seed: int) -> GroupChange:
    num_photos = len(photos.species_N)
    counts = photos.counts()
    recall = ece = None
    if num_photos:
        recalls_2 = mean_recall(photos.correct_2N, photos.species_N)
        errors_2 = calibration_errors(photos.confidence_2N, photos.correct_2N)
        recall_B, ece_B = _replicates(photos, seed)
        recall = change_of(recalls_2, wider(percentiles(recall_B), newcombe_paired(*counts)))
        ece = change_of(errors_2, percentiles(ece_B))
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


def _replicates(photos: _Photos, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Changes of recall and of ECE in each replicate [B]; both versions are looked at on the same drawn photos."""
    recalls, errors = [], []
    for places_bN in resampled_photos(photos.species_N, seed):
        new, old = (
            (photos.correct_2N[row][places_bN], photos.confidence_2N[row][places_bN]) for row in (0, 1)
        )
        recalls.append(mean_recall(new[0], photos.species_N) - mean_recall(old[0], photos.species_N))
        errors.append(calibration_errors(new[1], new[0]) - calibration_errors(old[1], old[0]))
    return np.concatenate(recalls), np.concatenate(errors)


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
