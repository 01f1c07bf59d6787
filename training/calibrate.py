"""Fit how logits become probabilities: one temperature, or one by training count where that is better. Pure numpy.

N photos, C classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.card import Calibration
from models.decision import probabilities
from models.scaling import CountScaling, count_temperatures

_GRID = np.exp(np.linspace(np.log(0.2), np.log(5.0), 321))
NUM_FOLDS = 5
_MAX_STEPS = 50
_CAUTION = 25.0
"""Precision of the normal prior on the slope: at its standard deviation, a tenfold count is 1.6 times the temperature,
so that a few photos do not bend it.
"""
_STANDARD_ERRORS = 2.0
"""What a gain must reach to count: on 250 photos, one standard error let noise through in one fit of three."""


def fit_temperature(logits_NC: NDArray[np.float64], labels_N: NDArray[np.int64]) -> float:
    """The temperature of least negative log-likelihood (Guo et al., 2017), from 0.2 to 5.

    Raises ValueError for no images.
    """
    if len(labels_N) == 0:
        raise ValueError("a temperature needs at least one image")
    low, high = 0, len(_GRID) - 1
    while low < high:  # the loss is convex in 1 / T, so it falls, then rises, along the grid
        middle = (low + high) // 2
        before, after = (
            log_losses(logits_NC / _GRID[place], labels_N).mean() for place in (middle, middle + 1)
        )
        low, high = (low, middle) if before <= after else (middle + 1, high)
    return float(_GRID[low])


def fit_calibration(
    logits_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    training_counts: Sequence[int],
    *,
    fitted_on: str,
    seed: int = 0,
) -> Calibration:
    """One temperature, and a scaling by training count where cross-validation finds it better.

    Better is: the mean gain in held-out log-likelihood is above two standard errors. Raises ValueError for no images.
    """
    temperature = fit_temperature(logits_NC, labels_N)
    scaling = None
    if len(labels_N) >= 2 * NUM_FOLDS and len(set(training_counts)) > 1:
        gain_N = _held_out_gain(logits_NC, labels_N, training_counts, seed)
        gain, error = float(gain_N.mean()), float(gain_N.std(ddof=1) / np.sqrt(len(gain_N)))
        if gain > _STANDARD_ERRORS * error:
            intercept, slope = fit_count_scaling(logits_NC, labels_N, training_counts)
            scaling = CountScaling(intercept=intercept, slope=slope, nll_gain=gain, nll_gain_error=error)
    return Calibration(
        temperature=temperature, scaling=scaling, fitted_on=fitted_on, num_images=len(labels_N)
    )


def fit_count_scaling(
    logits_NC: NDArray[np.float64], labels_N: NDArray[np.int64], training_counts: Sequence[int]
) -> tuple[float, float]:
    """Intercept and slope of ``log T`` on the log training count of the named species, by negative log-likelihood.

    Damped Fisher scoring from one temperature; the slope is drawn towards 0 by a normal prior. Never worse than where
    it starts.
    """
    log_counts_C = np.log(np.array(training_counts, dtype=np.float64))
    middle = float(log_counts_C.mean())
    named_N = log_counts_C[logits_NC.argmax(axis=1)] - middle
    design_N2 = np.stack([np.ones_like(named_N), named_N], axis=1)
    found_2 = np.array([np.log(fit_temperature(logits_NC, labels_N)), 0.0])

    def loss(values_2: NDArray[np.float64]) -> float:
        scaled_NC = logits_NC / np.exp(np.clip(design_N2 @ values_2, -3, 3))[:, None]
        return float(log_losses(scaled_NC, labels_N).sum() + _CAUTION * values_2[1] ** 2 / 2)

    for _ in range(_MAX_STEPS):
        step_2 = _fisher_step(found_2, design_N2, logits_NC, labels_N)
        before = loss(found_2)
        size = next((1 / 2**k for k in range(12) if loss(found_2 + step_2 / 2**k) < before - 1e-9), 0.0)
        found_2 = found_2 + size * step_2
        if size == 0.0:
            break
    return float(found_2[0] - found_2[1] * middle), float(found_2[1])


def _fisher_step(
    values_2: NDArray[np.float64],
    design_N2: NDArray[np.float64],
    logits_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The step towards less loss: gradient over expected curvature, both with the prior on the slope."""
    scaled_NC = logits_NC / np.exp(np.clip(design_N2 @ values_2, -3, 3))[:, None]
    chances_NC = probabilities(scaled_NC)
    mean_N = (chances_NC * scaled_NC).sum(axis=1)
    spread_N = (chances_NC * (scaled_NC - mean_N[:, None]) ** 2).sum(axis=1)
    slope_N = scaled_NC[np.arange(len(labels_N)), labels_N] - mean_N  # of the loss by log T
    gradient_2 = design_N2.T @ slope_N + np.array([0.0, _CAUTION * values_2[1]])
    curvature_22 = (design_N2.T * spread_N) @ design_N2 + np.diag([1e-9, _CAUTION])
    step_2: NDArray[np.float64] = -np.linalg.solve(curvature_22, gradient_2)
    return step_2


def _held_out_gain(
    logits_NC: NDArray[np.float64], labels_N: NDArray[np.int64], training_counts: Sequence[int], seed: int
) -> NDArray[np.float64]:
    """What the scaling gains over one temperature on each photo [N], both fitted without the photo's fold."""
    fold_N = np.random.default_rng(seed).permutation(len(labels_N)) % NUM_FOLDS
    gain_N = np.zeros(len(labels_N))
    for fold in range(NUM_FOLDS):
        kept, held = fold_N != fold, fold_N == fold
        temperature = fit_temperature(logits_NC[kept], labels_N[kept])
        intercept, slope = fit_count_scaling(logits_NC[kept], labels_N[kept], training_counts)
        scale_N = count_temperatures(intercept, slope, logits_NC[held], training_counts)
        gain_N[held] = log_losses(logits_NC[held] / temperature, labels_N[held])
        gain_N[held] -= log_losses(logits_NC[held] / scale_N[:, None], labels_N[held])
    return gain_N


def log_losses(scaled_NC: NDArray[np.float64], labels_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Negative log-likelihood of each label [N] under the softmax of scaled logits."""
    rest_NC = scaled_NC - scaled_NC.max(axis=1, keepdims=True)
    losses_N: NDArray[np.float64] = (
        np.log(np.exp(rest_NC).sum(axis=1)) - rest_NC[np.arange(len(labels_N)), labels_N]
    )
    return losses_N
