"""Fit the tables of the prediction sets on labelled photos that were neither trained nor tested on. Pure numpy.

N photos, C classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.conformal import ConformalTable, SetScore, conformal_quantile, power_prior, set_scores
from training.prior import LogitPrior

ALPHAS = tuple(round(0.01 * step, 2) for step in range(1, 21))
PRIOR_POWERS: dict[LogitPrior, float] = {"training": 1.0, "partial": 0.5, "none": 0.0}
"""Power of the training count that stands for the prior left in the logits; half of it where nobody knows."""


def fit_tables(
    probabilities_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    training_counts: Sequence[int],
    *,
    logit_prior: LogitPrior,
    fitted_on: str,
) -> tuple[ConformalTable, ...]:
    """Both tables of calibrated probabilities, alpha from 0.01 to 0.2; the prevalence-adjusted one first.

    It goes first because a mean over species is what it is best at. Where the logits carry no prior, both give the
    same sets.
    """
    power = PRIOR_POWERS[logit_prior]
    scores: tuple[SetScore, ...] = ("prevalence", "plain")
    return tuple(
        fit_table(
            probabilities_NC,
            labels_N,
            training_counts,
            score=score,
            prior_power=power if score == "prevalence" else 0.0,
            fitted_on=fitted_on,
        )
        for score in scores
    )


def fit_table(
    probabilities_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    training_counts: Sequence[int],
    *,
    score: SetScore,
    prior_power: float,
    fitted_on: str,
    alphas: Sequence[float] = ALPHAS,
) -> ConformalTable:
    """The quantiles of one score of the true classes."""
    prior_C = power_prior(training_counts, prior_power)
    true_N = set_scores(probabilities_NC, score, prior_C)[np.arange(len(labels_N)), labels_N]
    return ConformalTable(
        score=score,
        prior_power=prior_power,
        fitted_on=fitted_on,
        num_images=len(labels_N),
        alphas=tuple(alphas),
        quantiles=tuple(conformal_quantile(true_N, alpha) for alpha in alphas),
    )
