"""How sure a figure or a difference between methods is: resampled test photos, seeds, many comparisons. Pure numpy.

Legend: N images, H strata, F figures, B replicates, K distinct values.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation import Interval
from models.groups import GROUPS, Group

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


class Design(NamedTuple):
    """How test photos make up the figures: each photo's stratum [N] and each stratum's weight in each figure [F, H].

    A figure is the weighted sum of its strata's means; one without a tested species is left out.
    """

    figures: tuple[str, ...]
    stratum_N: NDArray[np.int64]
    weight_FH: NDArray[np.float64]


def spread(values: Sequence[float]) -> Spread:
    """Mean and deviation over seeds.

    >>> round(spread([0.5, 0.75]).deviation or 0, 6)
    0.176777
    >>> spread([0.5]).deviation is None
    True
    """
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), deviation, len(values))


def make_design(labels_N: NDArray[np.int64], groups: Sequence[Group]) -> Design:
    """The design of accuracy, macro recall and recall of each group.

    A stratum is a species. Species with one photo each, which alone would seem to be without chance, share one
    stratum a group (collapsed strata: Cochran, 1977, section 5A.12).
    """
    support_C = np.bincount(labels_N, minlength=len(groups))
    single_C = support_C == 1
    code_C = np.where(single_C, len(groups) + np.array([GROUPS.index(group) for group in groups]), -1)
    code_C = np.where(single_C, code_C, np.arange(len(groups)))
    codes, stratum_N = np.unique(code_C[labels_N], return_inverse=True)
    num_species_H = np.array([(code_C[support_C > 0] == code).sum() for code in codes], dtype=np.float64)
    group_H = np.array([groups[int(np.flatnonzero((code_C == code) & (support_C > 0))[0])] for code in codes])
    weights: dict[str, NDArray[np.float64]] = {
        "accuracy": np.bincount(stratum_N).astype(np.float64),
        "macro_recall": num_species_H,
        **{group: num_species_H * (group_H == group) for group in GROUPS},
    }
    present = {name: weight_H / weight_H.sum() for name, weight_H in weights.items() if weight_H.sum() > 0}
    return Design(tuple(present), stratum_N, np.stack(list(present.values())))


def figures_of(values_N: NDArray[np.float64], design: Design) -> NDArray[np.float64]:
    """The figures [F] of values that each photo has, such as whether it was named right."""
    num_H = np.bincount(design.stratum_N)
    return design.weight_FH @ (np.bincount(design.stratum_N, values_N) / num_H)


def replicates(
    values_N: NDArray[np.float64], design: Design, *, num: int, seed: int = 0
) -> NDArray[np.float64]:
    """Figures [B, F] of resampled photos: n - 1 of a stratum's n are drawn, with replacement.

    With n - 1 the variance is right also for the few photos that a species has; n draws give (n - 1) / n of it
    (Rao & Wu, 1988). Photos of equal value are interchangeable, so their number is drawn, not they: multinomial.
    """
    rng = np.random.default_rng(seed)
    figures_BF = np.zeros((num, len(design.figures)))
    order = np.argsort(design.stratum_N, kind="stable")
    starts = np.flatnonzero(np.diff(design.stratum_N[order], prepend=-1))
    for stratum, values in enumerate(np.split(values_N[order], starts[1:])):
        means_B = _resampled_means(values, num, rng)
        figures_BF += np.multiply.outer(means_B, design.weight_FH[:, stratum])
    return figures_BF


def _resampled_means(values: NDArray[np.float64], num: int, rng: np.random.Generator) -> NDArray[np.float64]:
    distinct_K, count_K = np.unique(values.round(9), return_counts=True)
    if len(distinct_K) == 1:
        return np.full(num, distinct_K[0])
    draws = len(values) - 1
    drawn_BK = rng.multinomial(draws, count_K / len(values), size=num)
    means_B: NDArray[np.float64] = drawn_BK @ distinct_K / draws
    return means_B


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
