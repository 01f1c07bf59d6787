"""A species from a few photos, beside those that were trained: the rule on a card, and the row of logits it gives.

Pure numpy. ``training.adding`` fits the rule; nothing here knows of files. A species that was added in this way is a
**prototype**: nobody has tested how well it is found.
Legend: N photos, C classes, D features, E axes.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from models.unknown import Space

MAX_PHOTOS = 20
Floats = NDArray[np.float64]
_Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AddingRule(_Frozen):
    """How the logit of an added species is set against the trained ones: ``scale`` times its score, and an offset.

    ``offsets`` are those for a prototype of as many photos as ``num_photos`` says, fewest first. They were set so that
    one added species takes no more than ``loss`` of the photos that are named right without it.
    """

    scale: Annotated[float, Field(gt=0)]
    num_photos: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    offsets: tuple[float, ...]
    loss: Annotated[float, Field(ge=0, lt=1)]
    fitted_on: str
    num_images: Annotated[int, Field(gt=0)]

    @model_validator(mode="after")
    def _agrees(self) -> "AddingRule":
        if len(self.offsets) != len(self.num_photos):
            raise ValueError(f"{len(self.num_photos)} num_photos but {len(self.offsets)} offsets")
        if list(self.num_photos) != sorted(set(self.num_photos)):
            raise ValueError("num_photos must rise")
        return self

    def offset(self, num_photos: int) -> float:
        """The offset for a prototype of this many photos: that of the most photos up to it which were tried.

        >>> rule = AddingRule(
        ...     scale=1, num_photos=(1, 5), offsets=(0.1, 0.5), loss=0, fitted_on="x", num_images=9
        ... )
        >>> [rule.offset(number) for number in (1, 4, 5, 20)]
        [0.1, 0.1, 0.5, 0.5]
        """
        place = int(np.searchsorted(self.num_photos, num_photos, side="right")) - 1
        return self.offsets[max(place, 0)]


class Prototype(_Frozen):
    """A label of the species list that was added from photos, none of which is kept; their SHA-256 are.

    ``base_version``: the version that it was added to. ``added_by``: on older cards alone, who added it. It is read and
    not given on, neither in an answer nor to the next card: a card is public, and names of accounts are not. Only the
    zip of such an older bundle, which stays what it is to the byte, still says it.
    """

    label: str
    photo_sha256: Annotated[tuple[_Hash, ...], Field(min_length=1, max_length=MAX_PHOTOS)]
    base_version: str
    added_at: datetime
    added_by: Annotated[str | None, Field(exclude=True)] = None

    @property
    def num_photos(self) -> int:
        """How many photos it was added from."""
        return len(self.photo_sha256)


class Row(NamedTuple):
    """One more logit: ``embedding @ weight_D + bias``."""

    weight_D: NDArray[np.float32]
    bias: float

    def logits(self, embedding_ND: NDArray[np.floating]) -> NDArray[np.float32]:
        """Logits [N] of L2-normalised embeddings [N, D]."""
        logits_N: NDArray[np.float32] = embedding_ND.astype(np.float32) @ self.weight_D + np.float32(
            self.bias
        )
        return logits_N


def whitened(space: Space, embedding_ND: NDArray[np.floating]) -> Floats:
    """Embeddings on the space's axes, with its spread within classes brought to one: [N, E]."""
    shifted_ND = embedding_ND.astype(np.float64) - space.centre_D
    white_NE: Floats = shifted_ND @ space.axes_DE.astype(np.float64) @ space.within_EE.astype(np.float64)
    return white_NE


def directions(means_CE: NDArray[np.floating], centre_E: NDArray[np.floating]) -> Floats:
    """Unit vectors [C, E] from a centre towards means, of Fisher's discriminant in a whitened space.

    All of one length, since the mean of few photos is long from their noise (see ``training.discriminant``).
    """
    towards_CE = means_CE.astype(np.float64) - centre_E
    length_C1: Floats = np.linalg.norm(towards_CE, axis=1, keepdims=True)
    return towards_CE / np.maximum(length_C1, 1e-12)


def class_centre(space: Space) -> Floats:
    """Mean [E] of the class means."""
    centre_E: Floats = space.means_CE.astype(np.float64).mean(axis=0)
    return centre_E


def prototype_mean(space: Space, embedding_ND: NDArray[np.floating]) -> Floats:
    """The whitened mean [E] of the photos of a prototype."""
    mean_E: Floats = whitened(space, embedding_ND).mean(axis=0)
    return mean_E


def prototype_row(space: Space, rule: AddingRule, embedding_ND: NDArray[np.floating]) -> Row:
    """The logit of a species from the L2-normalised embeddings of its N photos. Raises ValueError for no photo."""
    if not len(embedding_ND):
        raise ValueError("a prototype needs a photo")
    centre_E = class_centre(space)
    (towards_E,) = directions(prototype_mean(space, embedding_ND)[None], centre_E)
    weight_D = space.axes_DE.astype(np.float64) @ (space.within_EE.astype(np.float64) @ towards_E)
    bias = -float(space.centre_D.astype(np.float64) @ weight_D + centre_E @ towards_E)
    return Row((rule.scale * weight_D).astype(np.float32), rule.scale * bias + rule.offset(len(embedding_ND)))


def with_mean(space: Space, mean_E: Floats) -> Space:
    """The space with one more class mean, so that photos of an added species are not far from all that is known."""
    means_CE = np.vstack([space.means_CE, mean_E[None].astype(np.float32)])
    return space._replace(means_CE=means_CE)


def label_counts(prototypes: Sequence[Prototype]) -> dict[str, int]:
    """Photos of each prototype, by label."""
    return {prototype.label: prototype.num_photos for prototype in prototypes}
