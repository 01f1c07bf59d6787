"""What is reported of a model on one set of labelled photos. Values: ``models.metrics`` computes them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from models.groups import Group

Interval = tuple[float, float]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Frozen):
    """A figure and its 95% interval, both in 0 to 1."""

    value: float
    interval: Interval


class ReliabilityBin(_Frozen):
    """One equal-mass bin of the reliability diagram: mean confidence, accuracy, images."""

    confidence: float
    accuracy: float
    num_images: int


class GroupMetrics(_Frozen):
    """Means over the species of a group that have test images. All None where there are none: never 0."""

    group: Group
    num_species: int
    num_species_tested: int
    num_test_images: int
    recall: Estimate | None
    precision: Estimate | None
    f1: Estimate | None
    ece: float | None


class SpeciesMetrics(_Frozen):
    """One species: its own recall and precision with Wilson intervals, and what it is taken for."""

    label: str
    group: Group
    training_count: int
    num_test_images: int
    num_predicted: int
    recall: Estimate | None
    precision: Estimate | None
    confused_with: tuple[str, ...]


class ConfusionPair(_Frozen):
    """``num_images`` test images of ``true`` were named ``predicted``."""

    true: str
    predicted: str
    num_images: int


class Evaluation(_Frozen):
    """Everything that is reported of a model on one set of labelled photos."""

    split: str
    data_sha256: str
    num_test_images: int
    num_species_tested: int
    accuracy: Estimate
    macro_recall: Estimate
    macro_f1: float
    weighted_f1: float
    ece: float
    groups: tuple[GroupMetrics, ...]
    species: tuple[SpeciesMetrics, ...]
    confusions: tuple[ConfusionPair, ...]
    reliability: dict[Literal["all", "head", "middle", "tail"], tuple[ReliabilityBin, ...]]
    notes: tuple[str, ...] = ()

    def group(self, name: Group) -> GroupMetrics:
        """Metrics of one group."""
        return next(group for group in self.groups if group.group == name)
