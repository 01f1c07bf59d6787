"""Prediction sets with a stated coverage (split conformal): the table on a card, and the sets it gives. Pure numpy.

C classes, N photos. ``training.conformal`` fits the table; nothing here knows of labels or files.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.groups import Group
from models.words import listed

SetScore = Literal["plain", "prevalence", "group"]
"""``plain``: 1 - p. ``prevalence``: 1 - p / prior, which favours species that are rare in the prior. ``group``: the
same, with a limit for each group of species, so that each keeps the promise."""


class GroupLimits(BaseModel):
    """Quantiles of one group's own photos, one for each ``alphas`` of its table; None where they are too few."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    group: Group
    num_images: Annotated[int, Field(ge=0)]
    quantiles: tuple[float | None, ...]


class ConformalTable(BaseModel):
    """Quantiles of one score on photos that were neither trained nor tested on, one for each ``alphas``.

    A quantile of None is infinite: there were too few photos to promise that coverage with less than everything.
    ``groups``: limits by the group of the species that is asked about, for the score ``group`` alone; ``quantiles`` are
    those of all photos together. ``prior_power`` says which class prior the probabilities carry: training count to that
    power, so 0 is uniform.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    score: SetScore
    prior_power: Annotated[float, Field(ge=0, le=1)] = 0.0
    fitted_on: str
    num_images: Annotated[int, Field(ge=0)]
    alphas: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)]
    quantiles: tuple[float | None, ...]
    groups: tuple[GroupLimits, ...] = ()

    @model_validator(mode="after")
    def _agrees(self) -> "ConformalTable":
        if any(first >= second for first, second in zip(self.alphas, self.alphas[1:], strict=False)):
            raise ValueError("alphas must rise")
        for quantiles in (self.quantiles, *(each.quantiles for each in self.groups)):
            if len(self.alphas) != len(quantiles):
                raise ValueError(f"{len(self.alphas)} alphas but {len(quantiles)} quantiles")
            reached = [math.inf if quantile is None else quantile for quantile in quantiles]
            if reached != sorted(reached, reverse=True):
                raise ValueError("quantiles must not rise with alpha")
        if bool(self.groups) != (self.score == "group"):
            raise ValueError("groups go with the score 'group', and with no other")
        return self

    def quantile(self, coverage: float) -> float | None:
        """The quantile of the largest alpha that still promises ``coverage``; None: only everything does.

        >>> table = ConformalTable(
        ...     score="plain", fitted_on="x", num_images=9, alphas=(0.1, 0.2), quantiles=(0.7, 0.4)
        ... )
        >>> [table.quantile(coverage) for coverage in (0.5, 0.8, 0.85, 0.9, 0.95)]
        [0.4, 0.4, 0.7, 0.7, None]
        """
        place = self._place(coverage)
        return None if place is None else self.quantiles[place]

    def group_quantiles(self, coverage: float) -> dict[Group, float]:
        """Limits of the groups that have one of their own at this coverage; none where all share that of all photos."""
        place = self._place(coverage)
        if place is None or self.quantiles[place] is None:
            return {}
        found = {each.group: each.quantiles[place] for each in self.groups}
        return {group: quantile for group, quantile in found.items() if quantile is not None}

    def _place(self, coverage: float) -> int | None:
        fitting = [place for place, alpha in enumerate(self.alphas) if alpha <= 1 - coverage + 1e-9]
        return fitting[-1] if fitting else None  # 1 - 0.9 is a little under 0.1

    def sentence(self, coverage: float) -> str:
        """What a set promises, or why it is the whole species list."""
        if own := self.group_quantiles(coverage):
            return (
                f"In {coverage:.0%} of photos like those it was calibrated on, the species is in the set; that "
                f"holds for photos of {listed(list(own))} species by themselves."
            )
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

    def __init__(
        self, table: ConformalTable, training_counts: Sequence[int], groups: Sequence[Group] = ()
    ) -> None:
        """``groups``: of each species, which a table with the score ``group`` needs."""
        if table.groups and len(groups) != len(training_counts):
            raise ValueError(f"{len(training_counts)} species but {len(groups)} groups")
        self.table = table
        self._group_C = np.array(groups)
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
        limit = self._limit(coverage)
        if limit is None:
            return np.ones(probabilities_NC.shape, dtype=bool)
        if not self.num_added:
            return self._inside(probabilities_NC, limit)
        learnt_NC = np.where(self._learnt_C, probabilities_NC, 0.0)
        total_N1 = learnt_NC.sum(axis=-1, keepdims=True)
        without_NC = np.divide(learnt_NC, total_N1, out=np.zeros_like(learnt_NC), where=total_N1 > 0)
        inside_NC = self._inside(probabilities_NC, limit) & ~self._learnt_C
        inside_NC |= self._inside(without_NC, limit) & self._learnt_C & (total_N1 > 0)
        return _with_most_probable(inside_NC, probabilities_NC)

    def _limit(self, coverage: float) -> float | NDArray[np.float64] | None:
        """The limit of all species, or of each [C]. A group with too few photos for one has the widest of all; a
        species that was added later is of no group that was calibrated, and has that of all photos.
        """
        quantile, own = self.table.quantile(coverage), self.table.group_quantiles(coverage)
        if quantile is None or not own:
            return quantile
        limit_C = np.full(len(self.prior_C), max(quantile, *own.values()))
        for group, limit in own.items():
            limit_C[self._group_C == group] = limit
        limit_C[~self._learnt_C] = quantile
        return limit_C

    def _inside(
        self, probabilities_NC: NDArray[np.float64], limit: float | NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        inside_NC = set_scores(probabilities_NC, self.table.score, self.prior_C) <= limit
        return _with_most_probable(inside_NC, probabilities_NC)


def _with_most_probable(
    inside_NC: NDArray[np.bool_], probabilities_NC: NDArray[np.float64]
) -> NDArray[np.bool_]:
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
