"""Test photos drawn anew within their species: how far figures, and differences on the same photos, may be off.

The only resampling of differences, between two versions of a model and between two recipes. Pure numpy.
Legend: N images, H strata, F figures, B replicates, K distinct values.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.groups import GROUPS, Group


class Design(NamedTuple):
    """How test photos make up the figures: each photo's stratum [N] and each stratum's weight in each figure [F, H].

    A figure is the weighted sum of its strata's means; one without a tested species is left out.
    """

    figures: tuple[str, ...]
    stratum_N: NDArray[np.int64]
    weight_FH: NDArray[np.float64]


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
