"""The rule for unknown things in a cross-validation: each photo is judged by a network and a rule that never saw it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation import UnknownReport
from models.groups import Group
from models.preprocess import Preprocessing
from models.unknown import UnknownRule
from training.adding import ForAdding, try_adding
from training.asked import Ask
from training.data.dataset import Photos
from training.data.index import Sample
from training.data.prepared import Dataset
from training.evaluate import class_indices
from training.inference import Answers, places_of
from training.unknown import ForRule, Scored, fit_rule, score
from training.unknown_photos import for_rule, trained_space
from training.unknown_report import Part, unknown_report


class FoldUnknown(NamedTuple):
    """What one fold's network says of its photos, whose classes are ``labels_N``, and of its share of the outsiders;
    and what it says when some of its species are pretended to be added.
    """

    seen: ForRule
    labels_N: NDArray[np.int64]
    outsiders: Mapping[str, Scored]
    adding: ForAdding


class EveryNth:
    """Photos ``first``, ``first + step``, ... of others."""

    def __init__(self, photos: Photos, first: int, step: int) -> None:
        self._photos, self._places = photos, range(first, len(photos), step)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: int) -> NDArray[np.uint8]:
        return self._photos[self._places[place]]


def share_of(outsiders: Mapping[str, Photos], number: int, num_folds: int) -> dict[str, Photos]:
    """The part of the outsiders that one fold's network judges, so that each is judged once."""
    return {name: EveryNth(photos, number, num_folds) for name, photos in outsiders.items()}


def answer_fold(
    ask: Ask, photos: Photos, without: Dataset, wanted: Preprocessing, outsiders: Mapping[str, Photos]
) -> tuple[tuple[Sample, ...], Answers, FoldUnknown]:
    """What the network of ``without`` says of the photos that it is tested on, and what its rule needs."""
    samples = without.split("test")
    labels_N = class_indices(without, samples)
    answers = ask(photos, places_of(without, samples))
    trained = trained_space(ask, photos, without)
    seen = for_rule(ask, trained, answers, labels_N, wanted.size_px)
    scored = {name: score(trained, ask(each, range(len(each)))) for name, each in outsiders.items()}
    return samples, answers, FoldUnknown(seen, labels_N, scored, try_adding(trained, answers, labels_N))


def judge_folds(
    folds: Sequence[FoldUnknown], groups: Sequence[Group], *, fitted_on: str
) -> tuple[UnknownRule, UnknownReport]:
    """The rule that all folds together give, and what the same kind of rule does to each when fitted on the others."""
    whole = fit_rule(ForRule.joined([fold.seen for fold in folds]), groups, fitted_on=fitted_on)
    parts = []
    for fold in folds:
        others = ForRule.joined([other.seen for other in folds if other is not fold])
        rule = fit_rule(others, groups, fitted_on=fitted_on, name=whole.name)
        parts.append(Part(rule, fold.seen.known, fold.labels_N, fold.outsiders))
    return whole, unknown_report(parts, groups)
