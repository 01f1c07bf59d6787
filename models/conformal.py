"""Prediction sets with a stated coverage (split conformal): the table on a card, and the sets it gives. Pure numpy.

C classes, N photos. ``training.conformal`` fits the table; nothing here knows of labels or files.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

SetScore = Literal["plain", "prevalence"]
"""``plain``: 1 - p. ``prevalence``: 1 - p / prior, which favours species that are rare in the prior."""


class ConformalTable(BaseModel):
    """Quantiles of one score on photos that were neither trained nor tested on, one for each ``alphas``.

    A quantile of None is infinite: there were too few photos to promise that coverage with less than everything.
    ``prior_power`` says which class prior the probabilities carry: training count to that power, so 0 is uniform.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    score: SetScore
    prior_power: Annotated[float, Field(ge=0, le=1)] = 0.0
    fitted_on: str
    num_images: Annotated[int, Field(ge=0)]
    alphas: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)]
    quantiles: tuple[float | None, ...]

    @model_validator(mode="after")
    def _agrees(self) -> "ConformalTable":
        if len(self.alphas) != len(self.quantiles):
            raise ValueError(f"{len(self.alphas)} alphas but {len(self.quantiles)} quantiles")
        if any(first >= second for first, second in zip(self.alphas, self.alphas[1:], strict=False)):
            raise ValueError("alphas must rise")
        reached = [math.inf if quantile is None else quantile for quantile in self.quantiles]
        if reached != sorted(reached, reverse=True):
            raise ValueError("quantiles must not rise with alpha")
        return self

    def quantile(self, coverage: float) -> float | None:
        """The quantile of the largest alpha that still promises ``coverage``; None: only everything does.

        >>> table = ConformalTable(
        ...     score="plain", fitted_on="x", num_images=9, alphas=(0.1, 0.2), quantiles=(0.7, 0.4)
        ... )
        >>> [table.quantile(coverage) for coverage in (0.5, 0.8, 0.85, 0.9, 0.95)]
        [0.4, 0.4, 0.7, 0.7, None]
        """
        fitting = [
            quantile
            for alpha, quantile in zip(self.alphas, self.quantiles, strict=True)
            if alpha <= 1 - coverage + 1e-9  # 1 - 0.9 is a little under 0.1
        ]
        return fitting[-1] if fitting else None

    def sentence(self, coverage: float) -> str:
        """What a set promises, or why it is the whole species list."""
        if self.quantile(coverage) is not None:
            return f"In {coverage:.0%} of photos like those it was calibrated on, the species is in the set."
        return (
            f"Every species of the list: a smaller set cannot promise {coverage:.0%} after calibration on "
            f"{self.num_images} photos."
        )


class SetRule:
    """The sets of one table over one species list.

    A species that was added without training (a count of 0) was not there when the table was fitted. So the others get
    the sets that they got without it, which keeps the promise for photos of them, and it joins where it scores as well.

    >>> table = ConformalTable(score="plain", fitted_on="x", num_images=9, alphas=(0.1,), quantiles=(0.75,))
    >>> rule = SetRule(table, training_counts=(8, 2, 2))
    >>> rule.members(np.array([0.5, 0.3, 0.2]), coverage=0.9).tolist()
    [True, True, False]
    """

    def __init__(self, table: ConformalTable, training_counts: Sequence[int]) -> None:
        self.table = table
        counts_C = np.array(training_counts, dtype=np.float64)
        self._learnt_C = counts_C > 0
        self.num_added = int((~self._learnt_C).sum())
        learnt_prior = power_prior(counts_C[self._learnt_C], table.prior_power)
        self.prior_C = np.full(len(counts_C), np.exp(np.log(learnt_prior).mean()))
        self.prior_C[self._learnt_C] = learnt_prior

    def members(self, probabilities_NC: NDArray[np.float64], coverage: float) -> NDArray[np.bool_]:
        """Which classes are in the set, bool [..., C]; the most probable class always is.

        A score may put nobody in: an empty answer helps no one, and adding a class never costs coverage.
        """
        quantile = self.table.quantile(coverage)
        if quantile is None:
            return np.ones(probabilities_NC.shape, dtype=bool)
        if not self.num_added:
            return self._inside(probabilities_NC, quantile)
        learnt_NC = np.where(self._learnt_C, probabilities_NC, 0.0)
        total_N1 = learnt_NC.sum(axis=-1, keepdims=True)
        without_NC = np.divide(learnt_NC, total_N1, out=np.zeros_like(learnt_NC), where=total_N1 > 0)
        inside_NC = self._inside(probabilities_NC, quantile) & ~self._learnt_C
        inside_NC |= self._inside(without_NC, quantile) & self._learnt_C & (total_N1 > 0)
        return inside_NC

    def _inside(self, probabilities_NC: NDArray[np.float64], quantile: float) -> NDArray[np.bool_]:
        inside_NC = set_scores(probabilities_NC, self.table.score, self.prior_C) <= quantile
        np.put_along_axis(inside_NC, probabilities_NC.argmax(axis=-1)[..., None], True, axis=-1)
        return inside_NC


def power_prior(training_counts: Sequence[int] | NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Class prior [C] that goes with the training count to a power.

    >>> power_prior((8, 2), 0.5).round(3).tolist(), power_prior((8, 2), 0).tolist()
    ([0.667, 0.333], [0.5, 0.5])
    """
    weight_C = np.array(training_counts, dtype=np.float64) ** power
    normalised_C: NDArray[np.float64] = weight_C / weight_C.sum()
    return normalised_C


def set_scores(
    probabilities_NC: NDArray[np.float64], score: SetScore, prior_C: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How badly each class fits, [..., C]: 1 - p, or 1 - p / prior (prevalence-adjusted softmax).

    Ding, Fermanian and Salmon (2025, arXiv:2507.06867): were p true, no sets of the same mean size
    would have a better macro-coverage. With a uniform prior both scores order classes and photos alike.
    """
    scaled = probabilities_NC if score == "plain" else probabilities_NC / prior_C
    return 1.0 - scaled


def conformal_quantile(scores_N: NDArray[np.float64], alpha: float) -> float | None:
    """The ceil((N + 1)(1 - alpha))-th smallest of N calibration scores; None where that is beyond the last.

    With it the score of one more exchangeable photo is at most the quantile with probability 1 - alpha or more
    (Vovk et al., 2005), for any N.

    >>> conformal_quantile(np.arange(9.0), 0.1), conformal_quantile(np.arange(8.0), 0.1)
    (8.0, None)
    """
    rank = math.ceil((len(scores_N) + 1) * (1 - alpha) - 1e-9)  # 10 * (1 - 0.1) must be 9
    return None if rank > len(scores_N) else float(np.partition(scores_N, rank - 1)[rank - 1])
