"""What a bundle says about itself. Values only: reading and writing files is ``models.bundle``'s."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from models.conformal import ConformalTable
from models.groups import Group, GroupRule
from models.preprocess import Preprocessing
from models.prototypes import AddingRule, Prototype
from models.scaling import CountScaling
from models.taxonomy import Taxon
from models.unknown import UnknownRule
from models.views import Views

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64)]
"""A model's name: lower case, digits and single hyphens. Never a path."""

_VERSION = r"^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$"
Version = Annotated[str, StringConstraints(pattern=_VERSION)]
"""A version: major.minor.patch."""


def is_version(text: str) -> bool:
    """Whether it is a version such as 1.4.0.

    >>> [is_version(text) for text in ("1.4.0", "1.0", "1.0.0\\n", "01.0.0")]
    [True, False, False, False]
    """
    return re.fullmatch(_VERSION, text, re.ASCII) is not None


def version_key(version: str) -> tuple[int, ...]:
    """Sort key of a version.

    >>> max(["1.9.0", "1.10.0"], key=version_key)
    '1.10.0'
    """
    return tuple(int(part) for part in version.split("."))


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Calibration(_Frozen):
    """Temperature of the softmax, and the images it was fitted on (never trained on, never tested on).

    ``scaling`` goes before ``temperature`` where there is one: it was better in cross-validation.
    """

    temperature: Annotated[float, Field(gt=0)] = 1.0
    scaling: CountScaling | None = None
    fitted_on: str
    num_images: Annotated[int, Field(ge=0)]


class Figure(_Frozen):
    """One reported number with its 95% interval and what exactly it is: a share on a scale of 0 to 1, or a count."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    definition: str
    unit: Literal["share", "count"] = "share"

    @property
    def words(self) -> str:
        """The number to read.

        >>> Figure(name="set size", value=1.914, definition="", unit="count").words
        '1.91'
        """
        return f"{self.value:.1%}" if self.unit == "share" else f"{self.value:.2f}"


class Provenance(_Frozen):
    """Where the weights came from, so that a stranger can make them again."""

    data_source: str
    data_citation: str
    data_licence: str
    data_sha256: str
    num_training_images: Annotated[int, Field(gt=0)]
    contamination: str
    pretrained_weights: str
    recipe: str
    commands: tuple[str, ...]
    commit: str
    seed: int
    created_at: datetime
    environment: dict[str, str]


def _finite(values: tuple[int, ...]) -> tuple[int, ...]:
    if any(value < 1 for value in values):
        raise ValueError("every training count must be at least 1")
    return values


class ModelCard(_Frozen):
    """The card of a bundle. Labels, counts and graph sizes agree, or it is refused."""

    schema_version: Literal[1] = 1
    name: Name
    version: Version
    title: str
    description: str
    backbone: str
    taxa: Annotated[tuple[Taxon, ...], Field(min_length=2)]
    training_counts: Annotated[tuple[int, ...], AfterValidator(_finite)]
    group_rule: GroupRule
    preprocessing: Preprocessing
    embedding_dim: Annotated[int, Field(gt=0)]
    logit_prior: Literal["none", "training", "partial"]
    """Class prior left in the logits: ``training`` for plain cross-entropy, ``none`` after a correction, ``partial``
    where a part of it was taken out or nobody can derive how much.
    """
    calibration: Calibration
    reliability: Annotated[float, Field(ge=0.5, le=0.99)] = 0.9
    """What a decision must reach where a request does not say."""
    conformal: tuple[ConformalTable, ...] = ()
    """Tables of the prediction sets with a promised coverage, the one to use first; none on older cards."""
    unknown: UnknownRule | None = None
    """When an answer says that the model does not know this; its arrays are ``unknown.npz``. None on older cards."""
    adding: AddingRule | None = None
    """How a species is added without training; None on older cards, and where nothing could be fitted."""
    prototypes: tuple[Prototype, ...] = ()
    """Species that were added in this way: nobody has tested how well they are found."""
    views: Views = "one"
    """What is shown of a photo: with ``mirrored``, logits are the mean of its own and those of its mirror image."""
    figures: tuple[Figure, ...] = ()
    limits: tuple[str, ...] = ()
    """What the model must not be used for, and what is known to go wrong: one sentence each."""
    provenance: Provenance

    @model_validator(mode="after")
    def _agrees(self) -> "ModelCard":
        labels = [taxon.label for taxon in self.taxa]
        if len(set(labels)) != len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise ValueError(f"label {twice!r} stands twice in taxa")
        if len(self.training_counts) != len(self.taxa):
            raise ValueError(f"{len(self.taxa)} taxa but {len(self.training_counts)} training_counts")
        counts = dict(zip(labels, self.training_counts, strict=True))
        for prototype in self.prototypes:
            if counts.get(prototype.label) != prototype.num_photos:
                raise ValueError(
                    f"prototype {prototype.label!r} has another training count, or is not in taxa"
                )
        if not any(self.learnt_counts):
            raise ValueError("every label is a prototype; at least one must have been trained")
        return self

    def prototype(self, label: str) -> Prototype | None:
        """How a label was added without training; None for one that was trained."""
        return next((each for each in self.prototypes if each.label == label), None)

    @property
    def learnt_counts(self) -> tuple[int, ...]:
        """Training images that each label was learnt from: 0 for a prototype, whatever photos it was added from.

        For what was fitted on how often a label was trained: the temperature, priors, prediction sets.
        """
        added = {prototype.label for prototype in self.prototypes}
        return tuple(
            0 if taxon.label in added else count
            for taxon, count in zip(self.taxa, self.training_counts, strict=True)
        )

    @property
    def num_classes(self) -> int:
        """Length of the species list."""
        return len(self.taxa)

    @property
    def groups(self) -> tuple[Group, ...]:
        """Group of each label, in the order of the species list."""
        return self.group_rule.assign(self.training_counts)
