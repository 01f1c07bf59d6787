"""Two versions on the same photos: by how much proportions differ, with intervals. Pure numpy; knows no files.

Legend: N photos, B bootstrap replicates. ``p`` and ``q``: the two versions.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.evaluation import Interval
from models.metrics import NUM_BINS, wilson

NUM_REPLICATES = 1000
_TOGETHER = 50
"""Replicates that are drawn at once: with 10,000 photos they take 4 MB."""


def newcombe(successes_p: int, trials_p: int, successes_q: int, trials_q: int) -> Interval:
    """95% interval of p - q for two independent proportions (Newcombe, 1998, "Interval estimation for the
    difference between independent proportions", method 10). (-1, 1) where either has no trials.

    >>> [round(bound, 4) for bound in newcombe(56, 70, 48, 80)]
    [0.0524, 0.3339]
    """
    if trials_p == 0 or trials_q == 0:
        return (-1.0, 1.0)
    return _square_and_add(successes_p, trials_p, successes_q, trials_q, correlation=0.0)


def newcombe_paired(both: int, only_p: int, only_q: int, neither: int) -> Interval:
    """95% interval of p - q for two proportions of the same photos (Newcombe, 1998, "Improved confidence intervals
    for the difference between binomial proportions based on paired data", method 10). (-1, 1) for no photos.
    """
    trials = both + only_p + only_q + neither
    if trials == 0:
        return (-1.0, 1.0)
    margins = (both + only_p) * (only_q + neither) * (both + only_q) * (only_p + neither)
    product = float(both * neither - only_p * only_q)
    if product > 0:  # the paper's continuity correction
        product = max(product - trials / 2, 0.0)
    correlation = product / np.sqrt(margins) if margins else 0.0
    return _square_and_add(both + only_p, trials, both + only_q, trials, correlation=float(correlation))


def _square_and_add(
    successes_p: int, trials_p: int, successes_q: int, trials_q: int, *, correlation: float
) -> Interval:
    p, q = successes_p / trials_p, successes_q / trials_q
    (low_p, high_p), (low_q, high_q) = wilson(successes_p, trials_p), wilson(successes_q, trials_q)
    below_p, above_p, below_q, above_q = p - low_p, high_p - p, q - low_q, high_q - q
    down = below_p**2 - 2 * correlation * below_p * above_q + above_q**2
    up = above_p**2 - 2 * correlation * above_p * below_q + below_q**2
    return (float(p - q - np.sqrt(max(down, 0.0))), float(p - q + np.sqrt(max(up, 0.0))))


def resampled_photos(species_N: NDArray[np.int64], seed: int) -> Iterator[NDArray[np.int64]]:
    """Places of photos drawn with replacement within each species, a few replicates at a time: int64 [b, N].

    ``species_N`` must be sorted: replicates are sorted by species like it, and each has as many of each.
    """
    rng = np.random.default_rng(seed)
    _, first, inverse, counts = np.unique(
        species_N, return_index=True, return_inverse=True, return_counts=True
    )
    first_N, counts_N = first[inverse], counts[inverse]
    for start in range(0, NUM_REPLICATES, _TOGETHER):
        num_drawn = min(_TOGETHER, NUM_REPLICATES - start)
        drawn_bN = rng.random((num_drawn, len(species_N)))
        yield first_N + (drawn_bN * counts_N).astype(np.int64)


def calibration_errors(
    confidence_bN: NDArray[np.float64], correct_bN: NDArray[np.bool_], num_bins: int = NUM_BINS
) -> NDArray[np.float64]:
    """ECE of each replicate [b], as ``models.metrics`` defines it: equal-mass bins, weighted by photos.

    >>> calibration_errors(np.array([[0.9, 0.9]]), np.array([[True, False]]), num_bins=1).round(6).tolist()
    [0.4]
    """
    order_bN = np.argsort(confidence_bN, axis=1, kind="stable")
    return errors_of_sorted(np.take_along_axis(confidence_bN - correct_bN, order_bN, axis=1), num_bins)


def errors_of_sorted(gap_bN: NDArray[np.float64], num_bins: int = NUM_BINS) -> NDArray[np.float64]:
    """ECE of each row [b] of confidence less correctness; a row is sorted by confidence, so bins are its stretches."""
    num_photos = gap_bN.shape[1]
    parts = np.array_split(np.arange(num_photos), min(num_bins, num_photos))
    sums_b = np.abs(np.add.reduceat(gap_bN, [part[0] for part in parts], axis=1)).sum(axis=1)
    errors: NDArray[np.float64] = sums_b / num_photos
    return errors
