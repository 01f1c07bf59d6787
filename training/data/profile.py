"""How long a tail is: imbalance factor, Gini coefficient and groups, as numbers and as a plot."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.groups import GROUPS, GroupRule

_COLOURS = {"head": "#1b6ca8", "middle": "#8a8a8a", "tail": "#d1495b"}


def gini(counts: Sequence[int]) -> float:
    """Gini coefficient of the training counts: 0 for equal counts, towards 1 for one class that has all.

    >>> gini([5, 5, 5])
    0.0
    """
    ordered = np.sort(np.asarray(counts, dtype=np.float64))
    ranks = np.arange(1, len(ordered) + 1)
    return round(
        float(
            2 * (ranks * ordered).sum() / (len(ordered) * ordered.sum()) - (len(ordered) + 1) / len(ordered)
        ),
        12,
    )


def profile(counts: Sequence[int], rule: GroupRule) -> dict[str, float | int | str]:
    """The profile as plain numbers."""
    groups = rule.assign(counts)
    sizes = {f"num_{group}": groups.count(group) for group in GROUPS}
    return {
        "num_classes": len(counts),
        "num_images": sum(counts),
        "imbalance_factor": round(max(counts) / min(counts), 3),
        "gini": round(gini(counts), 4),
        "group_rule": rule.sentence(),
        **sizes,
    }


def plot_profile(counts: Sequence[int], rule: GroupRule, path: Path) -> None:
    """Training images of each class, most frequent first, coloured by group."""
    ordered = sorted(counts, reverse=True)
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.bar(range(len(ordered)), ordered, width=1.0, color=[_COLOURS[rule.group_of(n)] for n in ordered])
    axes.set(xlabel="species, most photographed first", ylabel="training images", title=rule.sentence())
    figure.savefig(path, dpi=120)
