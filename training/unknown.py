"""When does a model say that it does not know this? Fitted on photos that were not trained on. Pure numpy.

A rule is chosen without an outsider that it is judged on: by pictures drawn by code, and by pretending of each photo
that its own species were not in the list. Legend: N photos, C classes, D features, E axes, T training photos.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.conformal import conformal_quantile
from models.detection import auroc
from models.groups import GROUPS, Group
from models.unknown import (
    GroupThreshold,
    RuleName,
    ScoreName,
    ScorePart,
    Space,
    UnknownRule,
    combined,
    distances,
    energy,
    max_logit,
)
from models.unknown_file import rounded
from training.inference import Answers

FALSE_REJECTION = 0.05
NUM_AXES = 128
RIDGE = 0.1
"""Share of the covariance within classes that is replaced by its mean variance."""
MOTH_SHARE, FOREIGN_SHARE = 0.99, 0.05
"""As far from all training photos as 99 in 100 known photos are: a moth. Farther than 5 in 100 of the drawn pictures,
and than every known photo: no moth."""
COMBINED_GAIN = 0.005
"""What two scores must be better by than the best one alone, in mean AUROC: less is not worth a second part."""
RULES: dict[RuleName, tuple[ScoreName, ...]] = {
    "max_logit": ("max_logit",),
    "energy": ("energy",),
    "mahalanobis": ("mahalanobis",),
    "combined": ("max_logit", "mahalanobis"),
}
_CHUNK = 512
_NEVER = 1e30

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


class Trained(NamedTuple):
    """Embeddings [T, D] of training photos and their class indices, and the space that they span."""

    embeddings_TD: Floats
    labels_T: Labels
    space: Space


class Scored(NamedTuple):
    """Every score of N photos, how far each is from all training photos, and which class it is named."""

    scores: dict[ScoreName, Floats]
    foreign_N: Floats
    named_N: Labels

    @classmethod
    def joined(cls, parts: "Sequence[Scored]") -> "Scored":
        """Photos of several networks, one after the other."""
        names = parts[0].scores
        return cls(
            {name: np.concatenate([part.scores[name] for part in parts]) for name in names},
            np.concatenate([part.foreign_N for part in parts]),
            np.concatenate([part.named_N for part in parts]),
        )


class ForRule(NamedTuple):
    """What a rule is fitted on: known photos, the same as if their own species were unknown, and drawn pictures."""

    known: Scored
    pretended: Scored
    drawn: Scored

    @classmethod
    def joined(cls, parts: "Sequence[ForRule]") -> "ForRule":
        """Those of several networks together."""
        return cls(*(Scored.joined(each) for each in zip(*parts, strict=True)))


def span(embeddings_TD: Floats, labels_T: Labels, num_classes: int) -> Trained:
    """The space of L2-normalised embeddings of training photos, as the bundle's file will hold it.

    Raises ValueError for a class without a photo.
    """
    counts_C = np.bincount(labels_T, minlength=num_classes)
    if (counts_C == 0).any():
        raise ValueError("a space needs a training photo of every class")
    means_CD = np.zeros((num_classes, embeddings_TD.shape[1]))
    np.add.at(means_CD, labels_T, embeddings_TD)
    means_CD /= counts_C[:, None]
    centre_D = embeddings_TD.mean(axis=0)
    total_E, axes_DE, rest = _principal(embeddings_TD - centre_D)
    residual_TE = (embeddings_TD - means_CD[labels_T]) @ axes_DE
    freedom = len(labels_T) - num_classes
    within_EE = residual_TE.T @ residual_TE / freedom if freedom > 0 else np.diag(total_E)
    white_EE = _whitening(within_EE)
    space = Space(
        *(
            np.asarray(array, dtype=np.float32)
            for array in (
                centre_D,
                axes_DE,
                white_EE,
                (means_CD - centre_D) @ axes_DE @ white_EE,
                total_E,
                rest,
            )
        )
    )
    return Trained(embeddings_TD, labels_T, rounded(space))


def _principal(centred_TD: Floats) -> tuple[Floats, Floats, float]:
    """Variances [E] and principal axes [D, E] of centred embeddings, and the variance that no axis explains."""
    values_D, vectors_DD = np.linalg.eigh(centred_TD.T @ centred_TD / len(centred_TD))
    order = np.argsort(values_D)[::-1][:NUM_AXES]
    kept = order[values_D[order] > 1e-6 * max(float(values_D[order[0]]), 1e-12)]
    kept = kept if len(kept) else order[:1]
    variance_E = np.maximum(values_D[kept], 1e-12)
    rest = float(np.maximum(values_D, 0).sum() - variance_E.sum())
    return variance_E, vectors_DD[:, kept], max(rest, 1e-3 * float(variance_E.sum()))


def _whitening(covariance_EE: Floats) -> Floats:
    """W with W W' = the inverse of the ridged covariance."""
    size = len(covariance_EE)
    mean = max(float(np.trace(covariance_EE)) / size, 1e-12)
    ridged_EE = (1 - RIDGE) * covariance_EE + RIDGE * mean * np.eye(size)
    whitening_EE: Floats = np.linalg.inv(np.linalg.cholesky(ridged_EE)).T
    return whitening_EE


def score(trained: Trained, answers: Answers, *, without_N: Labels | None = None) -> Scored:
    """Every score of these photos; ``without_N`` takes from each the class that it names there out of the list."""
    parts = []
    for first in range(0, max(len(answers.logits_NC), 1), _CHUNK):
        rows = slice(first, first + _CHUNK)
        chunk = Answers(answers.logits_NC[rows], answers.embeddings_ND[rows])
        parts.append(_score_chunk(trained, chunk, None if without_N is None else without_N[rows]))
    return Scored.joined(parts)


def _score_chunk(trained: Trained, answers: Answers, without_N: Labels | None) -> Scored:
    logits_NC, named_N = answers.logits_NC, answers.logits_NC.argmax(axis=1)
    similarity_NT = answers.embeddings_ND @ trained.embeddings_TD.T
    if without_N is not None:
        logits_NC = logits_NC.copy()
        logits_NC[np.arange(len(logits_NC)), without_N] = -_NEVER
        similarity_NT[without_N[:, None] == trained.labels_T] = -1.0
    found = distances(trained.space, answers.embeddings_ND, without_N=without_N)
    scores: dict[ScoreName, Floats] = {
        "max_logit": max_logit(logits_NC),
        "energy": energy(logits_NC),
        "mahalanobis": found.nearest_N,
    }
    if similarity_NT.shape[1]:  # a bundle keeps no training photo
        scores["knn"] = 1.0 - similarity_NT.max(axis=1)
    return Scored(scores, found.foreign_N, named_N)


def choose(seen: ForRule) -> dict[RuleName, float]:
    """How well each rule tells known photos from the others, 0 to 1: the mean AUROC of both kinds, best first.

    The rule of two scores comes first only where it gains ``COMBINED_GAIN``.
    """
    quality = {}
    for name in RULES:
        parts = _parts(name, seen.known)
        known_N = combined(parts, seen.known.scores)
        against = [auroc(known_N, combined(parts, other.scores)) for other in (seen.pretended, seen.drawn)]
        quality[name] = float(np.mean(against))
    return dict(sorted(quality.items(), key=lambda pair: COMBINED_GAIN * (pair[0] == "combined") - pair[1]))


def fit_rule(
    seen: ForRule, groups: Sequence[Group], *, fitted_on: str, name: RuleName | None = None
) -> UnknownRule:
    """The best rule for these photos, or the one that is asked for, with a threshold for each group.

    A group that fewer than 19 photos are named of gets the threshold of all: so few cannot promise 5 in 100.
    """
    chosen = next(iter(choose(seen))) if name is None else name
    parts = _parts(chosen, seen.known)
    value_N, named_N = combined(parts, seen.known.scores), np.array(groups)[seen.known.named_N]
    everywhere = _quantile(value_N)
    thresholds = []
    for group in GROUPS:
        member_N = named_N == group
        own = conformal_quantile(value_N[member_N], FALSE_REJECTION)
        thresholds.append(
            GroupThreshold(
                group=group,
                threshold=everywhere if own is None else own,
                num_images=int(member_N.sum()),
                shared=own is None,
            )
        )
    near = float(np.quantile(seen.known.foreign_N, MOTH_SHARE))
    far = float(np.quantile(seen.drawn.foreign_N, FOREIGN_SHARE))
    return UnknownRule(
        name=chosen,
        parts=parts,
        false_rejection=FALSE_REJECTION,
        thresholds=tuple(thresholds),
        moth_up_to=near,
        foreign_from=max(far, near, float(seen.known.foreign_N.max())),
        fitted_on=fitted_on,
        num_images=len(value_N),
    )


def with_foreign_from(rule: UnknownRule, drawn: Scored) -> UnknownRule:
    """The rule of a cross-validation for other weights: where no moth begins is what drawn pictures are to *them*.

    The distance changes with the photos that were learnt from, and nothing that is drawn was.
    """
    far = max(float(np.quantile(drawn.foreign_N, FOREIGN_SHARE)), rule.moth_up_to)
    return rule.model_copy(update={"foreign_from": far})


def _quantile(value_N: Floats) -> float:
    own = conformal_quantile(value_N, FALSE_REJECTION)
    return float(value_N.max()) if own is None else own


def _parts(name: RuleName, known: Scored) -> tuple[ScorePart, ...]:
    """One score as it is; two brought to the median and the spread that known photos have."""
    if len(RULES[name]) == 1:
        return (ScorePart(score=RULES[name][0]),)
    parts = []
    for each in RULES[name]:
        low, middle, high = np.quantile(known.scores[each], [0.25, 0.5, 0.75])
        parts.append(ScorePart(score=each, centre=float(middle), spread=max(float(high - low), 1e-9)))
    return tuple(parts)
