"""A weight for each class from its training images. Knows nothing of losses or epochs. Legend: C classes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from training import choices


def inverse_frequency(training_counts: Sequence[int], *, gamma: float, scale: str = "rarest") -> Tensor:
    """``(n_min / n_i)^gamma``, float64 [C]; with ``scale="mean"`` of sum C. Raises ValueError for an empty class.

    >>> inverse_frequency([8, 2], gamma=1.0).tolist()
    [0.25, 1.0]
    """
    counts_C = _counts(training_counts)
    weights_C = (counts_C.min() / counts_C) ** gamma
    return weights_C if scale == "rarest" else _of_mean_one(weights_C)


def effective_number(training_counts: Sequence[int], *, beta: float) -> Tensor:
    """``(1 - beta) / (1 - beta^n_i)`` scaled to sum C (Cui et al., 2019), float64 [C].

    Raises ValueError for an empty class.

    >>> effective_number([8, 2], beta=0.0).tolist()
    [1.0, 1.0]
    """
    log_beta = math.log(beta) if beta else -math.inf
    return _of_mean_one(-1 / torch.expm1(_counts(training_counts) * log_beta))


def make_class_weights(choice: choices.ClassWeights, training_counts: Sequence[int]) -> Tensor:
    """The weights of a configuration once they are in force, float64 [C]."""
    if isinstance(choice, choices.InverseFrequency):
        return inverse_frequency(training_counts, gamma=choice.gamma, scale=choice.scale)
    if isinstance(choice, choices.EffectiveNumber):
        return effective_number(training_counts, beta=choice.beta)
    return torch.ones(len(training_counts), dtype=torch.float64)


def _counts(training_counts: Sequence[int]) -> Tensor:
    if min(training_counts) < 1:
        raise ValueError("every class needs at least one training image for a weight")
    return torch.tensor(training_counts, dtype=torch.float64)


def _of_mean_one(weights_C: Tensor) -> Tensor:
    return weights_C * (len(weights_C) / weights_C.sum())
