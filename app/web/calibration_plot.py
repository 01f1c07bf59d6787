"""The reliability diagram: how often answers of a stated probability were right."""

from collections.abc import Sequence

from app.web.formatting import share
from app.web.plots import COLOURS, LEGEND, MARKERS, PERCENT_AXIS, Figure, layout_of
from models.groups import GROUPS
from models.metrics import Evaluation, ReliabilityBin
from models.words import count_words

MIN_IMAGES_IN_POINT = 10
"""Fewer photos make a point of the reliability diagram jump about; neighbours are drawn together."""


def reliability_diagram(evaluation: Evaluation) -> Figure:
    """How often answers of a stated probability were right: on the dotted line, the probability is honest."""
    traces: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 1],
            "y": [0, 1],
            "name": "honest",
            "line": {"color": "--ink-soft", "dash": "dot", "width": 1.5},
            "hoverinfo": "skip",
        }
    ]
    for group in GROUPS:
        bins = _drawn_together(evaluation.reliability.get(group, ()))
        if not bins:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": group,
                "x": [part.confidence for part in bins],
                "y": [part.accuracy for part in bins],
                "line": {"color": COLOURS[group], "width": 1.5},
                "marker": {
                    "color": COLOURS[group],
                    "symbol": MARKERS[group],
                    "size": 9,
                    "line": {"color": "--card", "width": 1},
                },
                "cliponaxis": False,
                "hovertext": [
                    f"{group}: stated {share(part.confidence)}, right {share(part.accuracy)}"
                    f"<br>{count_words(part.num_images, 'photo')}"
                    for part in bins
                ],
                "hoverinfo": "text",
            }
        )
    x = {"title": "stated probability", **PERCENT_AXIS, "range": [0, 1.03]}
    return {
        "data": traces,
        "layout": layout_of(x, {"title": "share that was right", **PERCENT_AXIS}, **LEGEND),
    }


def _drawn_together(bins: Sequence[ReliabilityBin]) -> list[ReliabilityBin]:
    """Neighbouring bins joined until each has enough photos; a rest too small for a point joins the last."""
    joined: list[ReliabilityBin] = []
    for part in bins:
        if joined and joined[-1].num_images < MIN_IMAGES_IN_POINT:
            part = _join(joined.pop(), part)
        joined.append(part)
    if len(joined) > 1 and joined[-1].num_images < MIN_IMAGES_IN_POINT:
        joined[-2:] = [_join(*joined[-2:])]
    return joined


def _join(one: ReliabilityBin, other: ReliabilityBin) -> ReliabilityBin:
    num = one.num_images + other.num_images
    return ReliabilityBin(
        confidence=(one.confidence * one.num_images + other.confidence * other.num_images) / num,
        accuracy=(one.accuracy * one.num_images + other.accuracy * other.num_images) / num,
        num_images=num,
    )
