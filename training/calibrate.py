"""Fit the temperature of a softmax. Pure numpy: logits and labels in, one number out."""

import numpy as np
from numpy.typing import NDArray

from models.decision import probabilities

_GRID = np.exp(np.linspace(np.log(0.2), np.log(5.0), 321))


def fit_temperature(logits_NC: NDArray[np.float64], labels_N: NDArray[np.int64]) -> float:
    """The temperature of least negative log-likelihood (Guo et al., 2017), from 0.2 to 5.

    Raises ValueError for no images.
    """
    if len(labels_N) == 0:
        raise ValueError("a temperature needs at least one image")
    return float(min(_GRID, key=lambda temperature: _nll(logits_NC, labels_N, float(temperature))))


def _nll(logits_NC: NDArray[np.float64], labels_N: NDArray[np.int64], temperature: float) -> float:
    chosen_N = probabilities(logits_NC, temperature)[np.arange(len(labels_N)), labels_N]
    return float(-np.log(np.maximum(chosen_N, 1e-300)).mean())
