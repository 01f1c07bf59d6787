"""What two versions named each photo of a set -> how they differ. Pure; and the lines in which it is kept meanwhile."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from models.card import ModelCard
from models.comparison import Comparison, Measured, compare
from models.metrics import evaluate_predictions
from models.predictions import Prediction


class NoResult(Exception):
    """Why a trial ends without a result, in words for whoever asked for it."""


class Named(NamedTuple):
    """The first name that a version gave a photo, and its probability."""

    label: str
    probability: float


class Judged(NamedTuple):
    """A photo of the set by its place there. ``new`` and ``old`` None: it could not be named, or is there twice."""

    place: int
    sha256: str
    label: str
    new: Named | None
    old: Named | None


def dump(judged: Judged) -> str:
    """One line of progress.

    >>> dump(Judged(3, "ab", "owl", Named("owl", 0.5), None))
    '[3, "ab", "owl", ["owl", 0.5], null]\\n'
    """
    return f"{json.dumps(judged)}\n"


def load(lines: Iterable[str]) -> list[Judged]:
    """The lines that are whole: the last one may be cut off by a kill.

    >>> load([dump(Judged(0, "ab", "owl", None, None)), '[1, "c'])
    [Judged(place=0, sha256='ab', label='owl', new=None, old=None)]
    """
    found = {}
    for line in lines:
        try:
            place, sha256, label, new, old = json.loads(line)
        except ValueError:
            continue
        found[place] = Judged(place, sha256, label, new and Named(*new), old and Named(*old))
    return [found[place] for place in sorted(found)]


def result_of(judged: Sequence[Judged], new: ModelCard, old: ModelCard) -> Comparison:
    """How the versions differ on these photos. Raises NoResult where no photo's label is known to both."""
    named = [each for each in judged if each.new is not None and each.old is not None]
    both = {taxon.label for taxon in new.taxa} & {taxon.label for taxon in old.taxa}
    if not any(each.label in both for each in named):
        raise NoResult("None of the photos could be decoded and has a label that both versions know.")
    candidate = _measured([(each, each.new) for each in named if each.new], new)
    reference = _measured([(each, each.old) for each in named if each.old], old)
    return compare(candidate, reference)


def _measured(named: Sequence[tuple[Judged, Named]], card: ModelCard) -> Measured:
    """What a bundle would say of this set. Photos whose label the version does not know are none of its test photos."""
    labels = [taxon.label for taxon in card.taxa]
    places = {label: place for place, label in enumerate(labels)}
    known = [(each, name) for each, name in named if each.label in places]
    evaluation = evaluate_predictions(
        np.array([places[name.label] for _, name in known], dtype=np.int64),
        np.array([name.probability for _, name in known]),
        np.array([places[each.label] for each, _ in known], dtype=np.int64),
        class_labels=labels,
        training_counts=card.training_counts,
        groups=card.group_rule.assign(card.training_counts),
        split="uploaded",
        data_sha256="0" * 64,
        num_bootstrap=0,  # the comparison draws its own, of both versions together
    )
    predictions = tuple(
        Prediction(each.sha256, each.label, name.label, name.probability) for each, name in known
    )
    return Measured(evaluation, predictions)
