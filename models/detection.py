"""How well a score tells outsiders from what a model knows: AUROC, FPR at 95%, with intervals. Pure numpy.

K known photos, U outsiders. A score is high for outsiders.
"""

import numpy as np
from numpy.typing import NDArray

from models.evaluation import Estimate, Interval
from models.metrics import Z_95, wilson

KEPT = 0.95
"""Share of known photos that are kept where the false positives are counted."""


def auroc(known_K: NDArray[np.float64], outside_U: NDArray[np.float64]) -> float:
    """Probability that an outsider has a higher score than a known photo; ties count half (Hanley & McNeil, 1982).

    Raises ValueError where one of the two is empty.

    >>> auroc(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    0.875
    """
    if not len(known_K) or not len(outside_U):
        raise ValueError("AUROC needs known photos and outsiders")
    ordered = np.sort(known_K)
    below_U = np.searchsorted(ordered, outside_U, "left") + np.searchsorted(ordered, outside_U, "right")
    return float(below_U.mean() / 2 / len(known_K))


def auroc_interval(value: float, num_known: int, num_outside: int) -> Interval:
    """95% interval of an AUROC by Newcombe's method 5 (2006, part 2), which holds at 0 and 1 too.

    All t are inside that are within 1.96 of their own standard errors of the value, the errors being Hanley and
    McNeil's (1982) with the mean of the two numbers of photos.

    >>> [round(end, 3) for end in auroc_interval(1.0, 50, 50)]
    [0.96, 1.0]
    """
    grid = np.linspace(0, 1, 20_001)
    more = (num_known + num_outside) / 2 - 1
    spread = 1 + more * ((1 - grid) / (2 - grid) + grid / (1 + grid))
    error = np.sqrt(grid * (1 - grid) * spread / (num_known * num_outside))
    inside = grid[np.abs(grid - value) <= Z_95 * error + 1e-12]
    ends = (float(inside[0]), float(inside[-1])) if len(inside) else (value, value)
    return min(ends[0], value), max(ends[1], value)


def auroc_estimate(known_K: NDArray[np.float64], outside_U: NDArray[np.float64]) -> Estimate:
    """AUROC with its interval."""
    value = auroc(known_K, outside_U)
    return Estimate(value=value, interval=auroc_interval(value, len(known_K), len(outside_U)))


def false_positives(known_K: NDArray[np.float64], outside_U: NDArray[np.float64]) -> Estimate:
    """FPR@95: share of outsiders taken for known where 95% of the known photos are kept; Wilson's interval.

    The interval is of the outsiders alone; the limit counts as given.

    >>> false_positives(np.arange(100.0), np.array([94.0, 99.0])).value
    0.5
    """
    limit = np.quantile(known_K, KEPT, method="higher")
    taken = int((outside_U <= limit).sum())
    return Estimate(value=taken / len(outside_U), interval=wilson(taken, len(outside_U)))
