"""Corrections of a trained classifier without training. Pure numpy, to be applied before a temperature is fitted.

Legend: N images, C classes, D features.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.groups import GROUPS, Group

TAUS = tuple(round(0.1 * step, 1) for step in range(21))
"""What tau-normalisation tries: 0 to 2."""


def adjust_logits(
    logits_NC: NDArray[np.float64],
    log_prior_C: NDArray[np.float64],
    *,
    tau: float = 1.0,
    log_target_C: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """``z - tau * log(training prior) + log(target prior)`` (Menon et al., 2021, section 4.1).

    Logits, not probabilities: subtracting from a softmax names other classes. ``log_target_C`` None is uniform.

    >>> adjust_logits(np.zeros((1, 2)), np.log([0.8, 0.2])).argmax()
    np.int64(1)
    """
    target_C = 0.0 if log_target_C is None else log_target_C
    adjusted_NC: NDArray[np.float64] = logits_NC - tau * log_prior_C + target_C
    return adjusted_NC


def tau_normalised(weight_CD: NDArray[np.float64], tau: float) -> NDArray[np.float64]:
    """Each row divided by its length to the power tau (Kang et al., 2020). A bias is left out with it.

    >>> tau_normalised(np.array([[3.0, 4.0]]), 1.0).tolist()
    [[0.6, 0.8]]
    """
    lengths_C1 = np.maximum(np.linalg.norm(weight_CD, axis=1, keepdims=True), 1e-12)
    normalised_CD: NDArray[np.float64] = weight_CD / lengths_C1**tau
    return normalised_CD


def choose_tau(
    weight_CD: NDArray[np.float64], embeddings_ND: NDArray[np.float64], labels_N: NDArray[np.int64]
) -> float:
    """The tau of best macro recall on these images, which must be validation images; of equals the smallest.

    Raises ValueError for no images.
    """
    if len(labels_N) == 0:
        raise ValueError("tau is chosen on validation photos, and there are none: give stage.tau a number")
    return _best_tau(lambda tau: macro_recall(embeddings_ND @ tau_normalised(weight_CD, tau).T, labels_N))


def best_prior_tau(
    logits_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    log_prior_C: NDArray[np.float64],
    groups: Sequence[Group],
) -> float:
    """The tau of ``adjust_logits`` with the best mean of head, middle and tail recall on validation images; of equals
    the smallest.

    Not macro recall: frequent species that left no photo for validation have no say in it, and tau would be what
    suits the tail.

    >>> logits = np.array([[2.0, 0.0], [1.5, 0.0], [0.4, 0.0]])
    >>> best_prior_tau(logits, np.array([0, 0, 1]), np.log([0.9, 0.1]), ["head", "tail"])
    0.2
    """
    group_N = np.array(groups)[labels_N]
    members = [group_N == group for group in GROUPS if (group_N == group).any()]

    def mean_of_groups(tau: float) -> float:
        adjusted_NC = adjust_logits(logits_NC, log_prior_C, tau=tau)
        return float(np.mean([macro_recall(adjusted_NC[of], labels_N[of]) for of in members]))

    return _best_tau(mean_of_groups)


def _best_tau(score: Callable[[float], float]) -> float:
    return max(TAUS, key=lambda tau: (score(tau), -tau))


def macro_recall(logits_NC: NDArray[np.float64], labels_N: NDArray[np.int64]) -> float:
    """Mean over the classes that have images of the share named right.

    >>> macro_recall(np.array([[1.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    0.5
    """
    right_N = logits_NC.argmax(axis=1) == labels_N
    return float(np.mean([right_N[labels_N == label].mean() for label in np.unique(labels_N)]))
