"""Which method is best, by validation photos alone. Pure: predictions in, an order out. Legend: N images, C classes."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.groups import GROUPS, Group
from training.compare.record import Predictions, RunResult


class Standing(NamedTuple):
    """How a recipe on a backbone did on validation photos: recall of each group, over the seeds, and their mean."""

    recipe: str
    backbone: str
    num_seeds: int
    recalls: dict[Group, float]
    mean: float


def group_recalls(predictions: Predictions, groups: Sequence[Group]) -> dict[Group, float]:
    """Mean recall over the species of each group that have images; a group without any is left out.

    >>> said = Predictions(labels=(0, 0, 1), predicted=(0, 1, 1), confidence=(0.9, 0.6, 0.8))
    >>> group_recalls(said, ["head", "tail"])
    {'head': 0.5, 'tail': 1.0}
    """
    labels_N, correct_N = np.array(predictions.labels), predictions.correct
    by_group: dict[Group, list[float]] = defaultdict(list)
    for label in np.unique(labels_N):
        by_group[groups[label]].append(float(correct_N[labels_N == label].mean()))
    return {group: float(np.mean(by_group[group])) for group in GROUPS if group in by_group}


def validation_standings(results: Sequence[RunResult], groups: Sequence[Group]) -> tuple[Standing, ...]:
    """Recipes on their backbones by the mean of head, middle and tail recall on validation photos, best first.

    Each figure is the mean over the seeds; of equals the first by name. The test split is not looked at.
    """
    runs: dict[tuple[str, str], list[dict[Group, float]]] = defaultdict(list)
    for result in results:
        runs[result.recipe, result.backbone].append(group_recalls(result.validation, groups))
    standings = [_standing(*names, recalls) for names, recalls in runs.items()]
    return tuple(sorted(standings, key=lambda standing: (-standing.mean, standing.recipe, standing.backbone)))


def _standing(recipe: str, backbone: str, runs: Sequence[dict[Group, float]]) -> Standing:
    """All runs of a comparison are judged on the same photos, so they have the same groups."""
    recalls = {group: float(np.mean([run[group] for run in runs])) for group in runs[0]}
    return Standing(recipe, backbone, len(runs), recalls, float(np.mean(list(recalls.values()))))
