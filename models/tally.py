"""True and named classes of images -> what is counted of each class, and the same of images drawn anew.

Of thousands of species nearly all pairs are confused by nobody: nothing here is a table of class by class.
Legend: N images, C classes, P pairs of true and named class that occur, R replicates, M sets of classes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SCORES = ("recall", "precision", "f1")


class Tally(NamedTuple):
    """Of each class, int64 [C]: images named right, images that are of it, images that were named as it."""

    hits_C: NDArray[np.int64]
    support_C: NDArray[np.int64]
    predicted_C: NDArray[np.int64]

    @classmethod
    def of(cls, labels_N: NDArray[np.int64], predicted_N: NDArray[np.int64], num_classes: int) -> "Tally":
        """Count.

        >>> Tally.of(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).hits_C.tolist()
        [1, 1]
        """
        return cls(
            np.bincount(labels_N[labels_N == predicted_N], minlength=num_classes),
            np.bincount(labels_N, minlength=num_classes),
            np.bincount(predicted_N, minlength=num_classes),
        )

    def scores(self) -> dict[str, NDArray[np.float64]]:
        """Recall, precision and F1 of each class [C], nan where a class has no images; 0 for 0/0."""
        tested_C, hits_C = self.support_C > 0, self.hits_C.astype(np.float64)
        recall_C = np.where(tested_C, hits_C / np.maximum(self.support_C, 1), np.nan)
        precision_C = np.where(tested_C, hits_C / np.maximum(self.predicted_C, 1), np.nan)
        both_C = np.maximum(self.support_C + self.predicted_C, 1)
        return dict(
            zip(SCORES, (recall_C, precision_C, np.where(tested_C, 2 * hits_C / both_C, np.nan)), strict=True)
        )


def mean_scores_of_replicates(
    labels_N: NDArray[np.int64],
    predicted_N: NDArray[np.int64],
    member_MC: NDArray[np.bool_],
    *,
    seed: int,
    num: int,
) -> dict[str, NDArray[np.float64]]:
    """Mean score over the tested classes of each set, [R, M] by score; 0 for a set of which nothing is tested.

    Of each replicate as many images of a class are drawn, with replacement, as it has.
    """
    num_classes = member_MC.shape[1]
    order_N = np.argsort(labels_N, kind="stable")
    sorted_N, named_N = labels_N[order_N], predicted_N[order_N]
    support_C = np.bincount(labels_N, minlength=num_classes)
    first_N, photos_N = (np.cumsum(support_C) - support_C)[sorted_N], support_C[sorted_N]
    tested_MC = member_MC & (support_C > 0)
    share_MC = tested_MC / np.maximum(tested_MC.sum(axis=1, keepdims=True), 1)
    rng = np.random.default_rng(seed)
    means: dict[str, list[NDArray[np.float64]]] = {name: [] for name in SCORES}
    for _ in range(num):
        drawn_N = named_N[first_N + rng.integers(photos_N)]
        for name, score_C in Tally.of(sorted_N, drawn_N, num_classes).scores().items():
            means[name].append(share_MC @ np.nan_to_num(score_C))
    return {name: np.reshape(values, (num, len(member_MC))) for name, values in means.items()}


def confused_pairs(
    labels_N: NDArray[np.int64], predicted_N: NDArray[np.int64], num_classes: int
) -> list[tuple[int, int, int]]:
    """True class, named class and how many images, for every two that differ and occur.

    >>> confused_pairs(np.array([0, 0, 1]), np.array([1, 1, 1]), 2)
    [(0, 1, 2)]
    """
    wrong_N = labels_N != predicted_N
    flat_P, photos_P = np.unique(labels_N[wrong_N] * num_classes + predicted_N[wrong_N], return_counts=True)
    pairs = zip(
        (flat_P // num_classes).tolist(), (flat_P % num_classes).tolist(), photos_P.tolist(), strict=True
    )
    return list(pairs)
