"""Fit the tables of the prediction sets on labelled photos that were neither trained nor tested on. Pure numpy.

N photos, C classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.conformal import (
    ConformalTable,
    GroupLimits,
    SetScore,
    conformal_quantile,
    power_prior,
    set_scores,
)
from models.groups import GROUPS, Group
from training.prior import LogitPrior

ALPHAS = tuple(round(0.01 * step, 2) for step in range(1, 21))
PRIOR_POWERS: dict[LogitPrior, float] = {"training": 1.0, "partial": 0.5, "none": 0.0}
"""Power of the training count that stands for the prior left in the logits; half of it where nobody knows."""


def fit_tables(
    probabilities_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    training_counts: Sequence[int],
    *,
    groups: Sequence[Group],
    logit_prior: LogitPrior,
    fitted_on: str,
) -> tuple[ConformalTable, ...]:
    """The tables of calibrated probabilities, alpha from 0.01 to 0.2: by group, prevalence-adjusted, plain.

    The one by group goes first, since it alone keeps its promise in the tail where a network is worse there. Of the
    others the prevalence-adjusted one is better at a mean over species; where the logits carry no prior, both give the
    same sets.
    """
    power = PRIOR_POWERS[logit_prior]
    scores: tuple[SetScore, ...] = ("group", "prevalence", "plain")
    return tuple(
        fit_table(
            probabilities_NC,
            labels_N,
            training_counts,
            score=score,
            prior_power=0.0 if score == "plain" else power,
            fitted_on=fitted_on,
            groups=groups,
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
    groups: Sequence[Group] = (),
) -> ConformalTable:
    """The quantiles of one score of the true classes; with the score ``group`` those of each group's photos too."""
    prior_C = power_prior(training_counts, prior_power)
    true_N = set_scores(probabilities_NC, score, prior_C)[np.arange(len(labels_N)), labels_N]
    return ConformalTable(
        score=score,
        prior_power=prior_power,
        fitted_on=fitted_on,
        num_images=len(labels_N),
        alphas=tuple(alphas),
        quantiles=tuple(conformal_quantile(true_N, alpha) for alpha in alphas),
        groups=_limits(true_N, np.array(groups)[labels_N], alphas) if score == "group" else (),
    )


def _limits(
    true_N: NDArray[np.float64], group_N: NDArray[np.str_], alphas: Sequence[float]
) -> tuple[GroupLimits, ...]:
    return tuple(
        GroupLimits(
            group=group,
            num_images=int((group_N == group).sum()),
            quantiles=tuple(conformal_quantile(true_N[group_N == group], alpha) for alpha in alphas),
        )
        for group in GROUPS
    )
