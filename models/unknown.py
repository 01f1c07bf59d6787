"""Is this one of the species that the model knows? Scores over embedding and logits, and the rule on a card.

Pure numpy. Every score is high for what the model does not know. ``training.unknown`` fits; nothing here knows of
labels or files.
Legend: N photos, C classes, D features, E axes.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.groups import GROUPS, Group

ScoreName = Literal["max_logit", "energy", "knn", "mahalanobis"]
RuleName = Literal["max_logit", "energy", "mahalanobis", "combined"]
"""What a card can ask for. The nearest training photos would have to be in the bundle, so they are only compared."""

Verdict = Literal["known", "unknown_moth", "unclear", "not_a_moth"]
Floats = NDArray[np.float64]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GroupThreshold(_Frozen):
    """Above it a photo that is named a species of this group is called unknown.

    ``num_images`` photos of the group set it; ``shared``: they were too few, so it is that of all photos together.
    """

    group: Group
    threshold: float
    num_images: Annotated[int, Field(ge=0)]
    shared: bool = False


class ScorePart(_Frozen):
    """One score of a rule, brought to a common scale: (score - centre) / spread."""

    score: ScoreName
    centre: float = 0.0
    spread: Annotated[float, Field(gt=0)] = 1.0


class UnknownRule(_Frozen):
    """When an answer says that the model does not know this. Fitted on photos that were not trained on.

    ``false_rejection`` of the photos of known species are above their group's threshold. Of those above it, a distance
    from all training photos up to ``moth_up_to`` is called a moth, and one from ``foreign_from`` on no moth.
    """

    name: RuleName
    parts: Annotated[tuple[ScorePart, ...], Field(min_length=1)]
    false_rejection: Annotated[float, Field(gt=0, lt=1)]
    thresholds: tuple[GroupThreshold, ...]
    moth_up_to: float
    foreign_from: float
    fitted_on: str
    num_images: Annotated[int, Field(gt=0)]

    @model_validator(mode="after")
    def _agrees(self) -> "UnknownRule":
        if [each.group for each in self.thresholds] != list(GROUPS):
            raise ValueError(f"thresholds must be those of {', '.join(GROUPS)}, in this order")
        if self.moth_up_to > self.foreign_from:
            raise ValueError("moth_up_to must not be above foreign_from")
        return self

    def threshold(self, group: Group) -> float:
        """Threshold for photos that are named a species of ``group``."""
        return self.thresholds[GROUPS.index(group)].threshold


class Space(NamedTuple):
    """Where training photos lie among embeddings: what a distance needs, in float32 so that files stay small.

    ``axes_DE`` are the orthonormal principal axes about ``centre_D``; ``within_EE`` whitens what is left of photos
    around the mean of their own class, and ``means_CE`` are these means, whitened. ``total_E`` is the variance of all
    training photos along each axis, and ``rest`` what is left of it, a photo's squared distance from all axes.
    """

    centre_D: NDArray[np.float32]
    axes_DE: NDArray[np.float32]
    within_EE: NDArray[np.float32]
    means_CE: NDArray[np.float32]
    total_E: NDArray[np.float32]
    rest: NDArray[np.float32]


class Distances(NamedTuple):
    """Squared, as multiples of what training photos have: from each class mean [N, C], and from all photos [N]."""

    nearest_N: Floats
    foreign_N: Floats


def max_logit(logits_NC: NDArray[np.floating]) -> Floats:
    """Minus the largest logit, [N] (Hendrycks et al., 2022, arXiv:1911.11132)."""
    lowered_N: Floats = -logits_NC.max(axis=-1).astype(np.float64)
    return lowered_N


def energy(logits_NC: NDArray[np.floating]) -> Floats:
    """Minus log of the summed exponentials, [N]: the energy at T = 1 (Liu et al., 2020, arXiv:2010.03759).

    >>> energy(np.zeros((1, 4))).round(3).tolist()
    [-1.386]
    """
    largest_N = logits_NC.max(axis=-1)
    sums_N = np.exp(logits_NC - largest_N[..., None]).sum(axis=-1, dtype=np.float64)
    lowered_N: Floats = -(largest_N + np.log(sums_N)).astype(np.float64)
    return lowered_N


def squared_lengths(space: Space) -> NDArray[np.float32]:
    """Squared lengths of the whitened class means, [C]."""
    lengths_C: NDArray[np.float32] = np.einsum("ce,ce->c", space.means_CE, space.means_CE)
    return lengths_C


def distances(
    space: Space,
    embedding_ND: NDArray[np.floating],
    *,
    lengths_C: NDArray[np.float32] | None = None,
    without_N: NDArray[np.int64] | None = None,
) -> Distances:
    """Mahalanobis distances of L2-normalised embeddings (Lee et al., 2018, arXiv:1807.03888), on the principal axes.

    The nearest class mean under the pooled within-class covariance, and the centre under the covariance of all
    photos together with what no axis explains. ``without_N`` leaves one class mean of each photo out; ``lengths_C`` are
    ``squared_lengths`` for who asks again and again.
    """
    shifted_ND = embedding_ND.astype(np.float32) - space.centre_D
    along_NE = shifted_ND @ space.axes_DE
    white_NE = along_NE @ space.within_EE
    lengths_C = squared_lengths(space) if lengths_C is None else lengths_C
    to_mean_NC = lengths_C - 2.0 * (white_NE @ space.means_CE.T)
    if without_N is not None:
        to_mean_NC[np.arange(len(to_mean_NC)), without_N] = np.inf
    nearest_N = np.einsum("ne,ne->n", white_NE, white_NE) + to_mean_NC.min(axis=1)
    off_N = np.einsum("nd,nd->n", shifted_ND, shifted_ND) - np.einsum("ne,ne->n", along_NE, along_NE)
    foreign_N = (along_NE**2 / space.total_E).mean(axis=1) + np.maximum(off_N, 0) / space.rest
    return Distances(nearest_N.astype(np.float64), foreign_N.astype(np.float64))


def combined(parts: Sequence[ScorePart], scores: dict[ScoreName, Floats]) -> Floats:
    """The value of a rule, [N]: the sum of its parts on their common scale."""
    total_N: Floats = np.sum([(scores[part.score] - part.centre) / part.spread for part in parts], axis=0)
    return total_N


class UnknownJudge:
    """The rule of a card with its arrays, over one species list: what the service and the evaluation ask."""

    def __init__(self, rule: UnknownRule, space: Space, groups: Sequence[Group]) -> None:
        self.rule = rule
        self.space = space
        self.threshold_C = np.array([rule.threshold(group) for group in groups])
        self._lengths_C = squared_lengths(space)
        self._asked = {part.score for part in rule.parts}

    def judge(
        self, logits_NC: NDArray[np.floating], embedding_ND: NDArray[np.floating], named: int
    ) -> "Judgement":
        """Whether N photos of one animal, together named the class ``named``, show something known.

        Scores are means over the photos; a threshold is for one photo, so of several fewer known are rejected.
        """
        found = distances(self.space, embedding_ND, lengths_C=self._lengths_C)
        scores: dict[ScoreName, Floats] = {"mahalanobis": found.nearest_N}
        if "max_logit" in self._asked:
            scores["max_logit"] = max_logit(logits_NC)
        if "energy" in self._asked:
            scores["energy"] = energy(logits_NC)
        value = float(combined(self.rule.parts, scores).mean())
        threshold, foreign = float(self.threshold_C[named]), float(found.foreign_N.mean())
        return Judgement(verdict(self.rule, value, foreign, threshold), value, threshold, foreign)


class Judgement(NamedTuple):
    """A verdict and what it was made of: the rule's value, its threshold, and the distance from all photos."""

    verdict: Verdict
    value: float
    threshold: float
    foreign: float


def verdict(rule: UnknownRule, value: float, foreign: float, threshold: float) -> Verdict:
    """Known up to the threshold, unless it is as foreign as no moth is; else the kind that the distance tells."""
    if foreign > rule.foreign_from:
        return "not_a_moth"
    if value <= threshold:
        return "known"
    return "unknown_moth" if foreign <= rule.moth_up_to else "unclear"
