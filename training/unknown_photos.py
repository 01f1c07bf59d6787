"""Asks networks what the rule for unknown things needs: training photos, validation photos and outsiders."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.unknown import UnknownRule
from training.asked import Ask
from training.data.dataset import Photos
from training.data.index import Sample
from training.data.prepared import Dataset
from training.evaluate import class_indices
from training.inference import Answers, places_of
from training.outsiders import DRAWN_KINDS, DrawnPictures
from training.unknown import ForRule, Scored, Trained, fit_rule, score, span, with_foreign_from
from training.unknown_report import Part

MOST_PER_SPECIES = 50
"""Training photos of a species that its mean is taken from: more take time and move it little."""
NUM_FOR_FIT, NUM_FOR_JUDGING = 50, 100
"""Drawn pictures of each kind."""


class FittedUnknown(NamedTuple):
    """A rule and the space that it measures in."""

    rule: UnknownRule
    trained: Trained


def trained_space(ask: Ask, photos: Photos, dataset: Dataset) -> Trained:
    """The space of a data set's training photos, at most ``MOST_PER_SPECIES`` of each. Raises ValueError."""
    by_label: dict[str, list[Sample]] = defaultdict(list)
    for sample in dataset.split("train"):
        by_label[sample.label].append(sample)
    chosen = tuple(
        sample
        for label, samples in by_label.items()
        for sample in random.Random(label).sample(samples, min(len(samples), MOST_PER_SPECIES))
    )
    answers = ask(photos, places_of(dataset, chosen))
    return span(answers.embeddings_ND, class_indices(dataset, chosen), len(dataset.labels))


def shipped_rule(read: Bundle) -> FittedUnknown | None:
    """The rule of a bundle; None where it has none. It keeps no training photo, so nothing is compared with the
    nearest of them.
    """
    rule, space = read.card.unknown, read.unknown
    if rule is None or space is None:
        return None
    nobody = np.zeros((0, len(space.centre_D)))
    return FittedUnknown(rule, Trained(nobody, np.zeros(0, dtype=np.int64), space))


def for_rule(
    ask: Ask, trained: Trained, known: Answers, labels_N: NDArray[np.int64], size_px: int
) -> ForRule:
    """What a rule can be fitted on, from answers for photos of known species that were not trained on."""
    return ForRule(
        score(trained, known),
        score(trained, known, without_N=labels_N),
        _drawn_for_fit(ask, trained, size_px),
    )


def fit_unknown(
    ask: Ask,
    photos: Photos,
    dataset: Dataset,
    validated: Answers,
    labels_N: NDArray[np.int64],
    *,
    size_px: int,
    fitted_on: str,
) -> FittedUnknown | None:
    """Fit a rule to one network on its validation photos; None where there are none."""
    if len(labels_N) == 0:
        return None
    trained = trained_space(ask, photos, dataset)
    seen = for_rule(ask, trained, validated, labels_N, size_px)
    return FittedUnknown(fit_rule(seen, dataset.groups, fitted_on=fitted_on), trained)


def fit_to_shipped(
    ask: Ask, photos: Photos, dataset: Dataset, rule: UnknownRule, size_px: int
) -> FittedUnknown:
    """The rule of a cross-validation for the network that ships, with the space of all its training photos."""
    trained = trained_space(ask, photos, dataset)
    return FittedUnknown(with_foreign_from(rule, _drawn_for_fit(ask, trained, size_px)), trained)


def _drawn_for_fit(ask: Ask, trained: Trained, size_px: int) -> Scored:
    pictures = DrawnPictures(DRAWN_KINDS, range(NUM_FOR_FIT), size_px)
    return score(trained, ask(pictures, range(len(pictures))))


def drawn_outsiders(size_px: int, numbers: Sequence[int] = range(NUM_FOR_JUDGING)) -> dict[str, Photos]:
    """Drawn pictures of each kind to judge on: none that a rule was fitted with."""
    shifted = [NUM_FOR_FIT + number for number in numbers]
    return {kind: DrawnPictures((kind,), shifted, size_px) for kind in DRAWN_KINDS}


def judged_part(
    ask: Ask,
    fitted: FittedUnknown,
    known: Answers,
    labels_N: NDArray[np.int64],
    outsiders: Mapping[str, Photos],
) -> Part:
    """What one network says of known photos and of outsiders, for the report."""
    return Part(
        fitted.rule,
        score(fitted.trained, known),
        labels_N,
        {name: score(fitted.trained, ask(photos, range(len(photos)))) for name, photos in outsiders.items()},
    )
