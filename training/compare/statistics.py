"""How sure a figure or a difference between methods is: resampled test photos, seeds, many comparisons. Pure numpy.

How photos are resampled is ``models.resampling``'s, as it is where two versions of a model are compared.
Legend: N images, F figures, B replicates.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation import Estimate, Interval, SpeciesMetrics
from models.metrics import wilson
from models.resampling import Design, figures_of, replicates

_TINY = 1e-9


class Spread(NamedTuple):
    """A figure over seeds. The deviation is a sample's (ddof = 1), and None for a single seed."""

    mean: float
    deviation: float | None
    num: int


class Difference(NamedTuple):
    """A difference with its 95% interval and a two-sided p-value."""

    value: float
    interval: Interval
    p: float


def spread(values: Sequence[float]) -> Spread:
    """Mean and deviation over seeds.

    >>> round(spread([0.5, 0.75]).deviation or 0, 6)
    0.176777
    >>> spread([0.5]).deviation is None
    True
    """
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), deviation, len(values))


def f1_of_species(species: SpeciesMetrics) -> Estimate | None:
    """F1 of a species with its 95% interval; None without test photos.

    F1 is 2J / (1 + J), and J (Jaccard's) is a share of photos: of those that are of the species or were named as it,
    those that are both. So its interval is Wilson's of J, put through the same formula.
    """
    if species.recall is None:
        return None
    hits = round(species.recall.value * species.num_test_images)
    num_either = species.num_test_images + species.num_predicted - hits
    low, high = (2 * share / (1 + share) for share in wilson(hits, num_either))
    return Estimate(value=2 * hits / (hits + num_either), interval=(low, high))


def intervals_of(
    values_N: NDArray[np.float64], design: Design, *, num: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """95% percentile interval of each figure."""
    low_F, high_F = np.quantile(replicates(values_N, design, num=num, seed=seed), [0.025, 0.975], axis=0)
    return {name: (float(low_F[f]), float(high_F[f])) for f, name in enumerate(design.figures)}


def paired_differences(
    ours_N: NDArray[np.float64],
    theirs_N: NDArray[np.float64],
    design: Design,
    *,
    num: int,
    seed: int = 0,
) -> dict[str, Difference]:
    """Ours minus theirs, on the same photos, for each figure of the design.

    The p-value is twice the smaller share of replicates on either side of zero, both sides counted with one more
    replicate (Davison & Hinkley, 1997): never 0, and 1 for methods that do not differ.
    """
    gains_N = ours_N - theirs_N
    values_F = figures_of(gains_N, design)
    drawn_BF = replicates(gains_N, design, num=num, seed=seed)
    low_F, high_F = np.quantile(drawn_BF, [0.025, 0.975], axis=0)
    below_F, above_F = (drawn_BF <= _TINY).sum(axis=0), (drawn_BF >= -_TINY).sum(axis=0)
    p_F = np.minimum(1.0, 2 * (np.minimum(below_F, above_F) + 1) / (num + 1))
    return {
        name: Difference(float(values_F[f]), (float(low_F[f]), float(high_F[f])), float(p_F[f]))
        for f, name in enumerate(design.figures)
    }


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values corrected for their number, in their order (Holm, 1979).

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    num = len(p_values)
    corrected, highest = [0.0] * num, 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (num - rank) * p_values[place]))
        corrected[place] = highest
    return tuple(corrected)


def corrected(differences: Sequence[Mapping[str, Difference]]) -> tuple[dict[str, Difference], ...]:
    """The same differences, their p-values corrected (Holm) for all figures of all comparisons together."""
    p_values = iter(holm([found.p for figures in differences for found in figures.values()]))
    return tuple(
        {name: found._replace(p=next(p_values)) for name, found in figures.items()} for figures in differences
    )
