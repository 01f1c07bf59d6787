"""By how much two versions of a model differ: the values that ``models.comparison`` gives, by group and by species."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.evaluation import Interval, SpeciesMetrics
from models.groups import GROUPS, Group

Part = Literal["all", "head", "middle", "tail"]
PARTS: tuple[Part, ...] = ("all", *GROUPS)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Frozen):
    """A figure of both versions. ``change`` is the candidate's minus the reference's, with its 95% interval."""

    reference: float
    candidate: float
    change: float
    interval: Interval | None


class GroupChange(_Frozen):
    """The species that both versions know, in the reference's groups. None where nothing can be compared.

    ``num_gained`` photos only the candidate named right, ``num_lost`` only the reference; None if not paired.
    """

    part: Part
    num_species: int
    num_species_tested: int
    num_photos: int
    num_gained: int | None
    num_lost: int | None
    recall: Change | None
    ece: Change | None


class SpeciesChange(_Frozen):
    """One species that both versions know, in the reference's group."""

    label: str
    group: Group
    num_photos: int
    num_gained: int | None
    num_lost: int | None
    recall: Change | None


def members(common: Sequence[SpeciesMetrics], part: Part) -> list[SpeciesMetrics]:
    """The species of one part of the list."""
    return [species for species in common if part in ("all", species.group)]


def percentiles(values_B: NDArray[np.float64]) -> Interval:
    """The middle 95% of bootstrap replicates."""
    low, high = np.quantile(values_B, [0.025, 0.975])
    return (float(low), float(high))


def wider(first: Interval, second: Interval) -> Interval:
    """The interval that holds both.

    >>> wider((-0.1, 0.2), (0.0, 0.3))
    (-0.1, 0.3)
    """
    return (min(first[0], second[0]), max(first[1], second[1]))


def change_of(new_old: Sequence[float] | NDArray[np.float64], interval: Interval | None) -> Change:
    """A figure of the candidate and of the reference, in this order, and the interval of their difference."""
    new, old = (float(value) for value in new_old)
    return Change(reference=old, candidate=new, change=new - old, interval=interval)
