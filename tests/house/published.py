"""Our figures on a benchmark beside published ones, which are for other photos and another length of training."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from models.words import signed
from training.compare.record import read_result

BASELINE = "cross_entropy"
VARIANTS = {"early_drw": ("ldam_drw", "ldam_drw weights.after=0.4")}
"""Folders of runs whose schedule was changed for their length, the recipe and what they are called."""


def beside_published(folder: Path, published_csv: Path) -> list[tuple[str, ...]]:
    """Rows of method, published and our test accuracy in percent, and the gap of each to cross-entropy in points.

    ``folder`` holds a comparison's results, ``published_csv`` what was published. Gaps are of the middle of a range.
    """
    ours = _accuracies(folder)
    named = [(recipe, recipe, ours[recipe]) for recipe in ours]
    for place, (recipe, name) in VARIANTS.items():
        named += [(recipe, name, accuracy) for accuracy in _accuracies(folder / place).values()]
    published = {row["recipe"]: (float(row["lowest"]), float(row["highest"])) for row in _rows(published_csv)}
    base = fmean(published[BASELINE])
    rows = []
    order = list(published)
    for recipe, name, accuracy in sorted(named, key=lambda run: (order.index(run[0]), run[1])):
        lowest, highest = published[recipe]
        there = f"{lowest:.1f}" if lowest == highest else f"{lowest:.1f} to {highest:.1f}"
        gaps = (fmean((lowest, highest)) - base, accuracy - ours[BASELINE])
        rows.append((f"`{name}`", there, f"{accuracy:.1f}", *(signed(gap) for gap in gaps)))
    return rows


def beside_one_more_loss(kept: Path, lost: Path, recipes: Sequence[str]) -> list[tuple[str, ...]]:
    """Rows of photos and the test accuracy of each recipe in percent, mean over its seeds; last what the loss costs.

    ``kept`` and ``lost`` hold the results of one comparison on the photos as they come, and encoded once more.
    """
    before, after = _accuracies(kept), _accuracies(lost)
    return [
        ("as they come", *(f"{before[recipe]:.1f}" for recipe in recipes)),
        ("encoded once more", *(f"{after[recipe]:.1f}" for recipe in recipes)),
        ("difference", *(signed(after[recipe] - before[recipe]) for recipe in recipes)),
    ]


def _accuracies(folder: Path) -> dict[str, float]:
    by_recipe: dict[str, list[float]] = defaultdict(list)
    for path in folder.glob("*.json"):
        result = read_result(path)
        by_recipe[result.recipe].append(100 * float(result.test.correct.mean()))
    return {recipe: fmean(values) for recipe, values in by_recipe.items()}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
