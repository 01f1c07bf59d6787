"""Evaluations -> Plotly figures, as plain data. Knows nothing of pages.

Colours are names of CSS custom properties (``--head``): the script that draws them looks them up, so pages,
plots and both colour schemes share one palette. Groups also differ by symbol and by words.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from app.web.formatting import GROUP_SYMBOLS, NO_SPECIES, estimate_words, interval_words, share
from models.evaluation import Interval
from models.groups import GROUPS, Group
from models.metrics import Evaluation, GroupMetrics, SpeciesMetrics
from models.words import count_words

Figure = dict[str, Any]
Names = Mapping[str, str]
"""Display name by label."""

COLOURS: dict[Group, str] = {"head": "--head", "middle": "--middle", "tail": "--tail"}
MARKERS: dict[Group, str] = {"head": "circle", "middle": "square", "tail": "diamond"}
PATTERNS = {"solid": "", "striped": "/", "crossed": "x", "dotted": "."}
"""How the bars of several versions differ, in words and for Plotly."""
MOST_PAIRS = 12
GOLDEN = 0.618034
NICE_COUNTS = tuple(step * 10**power for power in range(6) for step in (1, 2, 5))
PERCENT_AXIS = {"range": [0, 1.09], "tickformat": ".0%", "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1]}


def layout_of(x: Figure, y: Figure, **more: Any) -> Figure:
    """What every plot shares; the script adds fonts, grid and colours."""
    base: Figure = {
        "xaxis": x,
        "yaxis": y,
        "showlegend": False,
        "margin": {"l": 52, "r": 12, "t": 12, "b": 52},
    }
    return base | more


def whiskers(
    values: Sequence[tuple[float, Interval]], colour: str, *, thickness: float, width: int
) -> Figure:
    """Error bars of figures with their intervals, on the axis that they are given to. Sizes in pixels."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, (_, high) in values],
        "arrayminus": [value - low for value, (low, _) in values],
        "color": colour,
        "thickness": thickness,
        "width": width,
    }


def group_bars(versions: Sequence[tuple[str, Evaluation]]) -> Figure:
    """Mean recall of each group with its interval: one bar a version, the deployed one first."""
    width = 0.72 / len(versions)
    traces: list[Figure] = []
    annotations: list[Figure] = []
    for number, (version, evaluation) in enumerate(versions):
        offset = (number - (len(versions) - 1) / 2) * width
        rows = [(index + offset, evaluation.group(group)) for index, group in enumerate(GROUPS)]
        measured = [(x, metrics) for x, metrics in rows if metrics.recall is not None]
        traces += _bars_of_version(measured, version, width, list(PATTERNS.values())[number])
        annotations += [
            {"x": x, "y": 0.04, "text": _absence(metrics), "showarrow": False, "yref": "y"}
            for x, metrics in rows
            if metrics.recall is None
        ]
    ticks = {
        "tickvals": list(range(len(GROUPS))),
        "ticktext": [_group_tick(versions[0][1].group(group)) for group in GROUPS],
        "range": [-0.5, 2.5],
        "showgrid": False,
        "zeroline": False,
    }
    return {
        "data": traces,
        "layout": layout_of(
            ticks, {"title": "mean recall", **PERCENT_AXIS, "range": [0, 1.14]}, annotations=annotations
        ),
    }


def _absence(metrics: GroupMetrics) -> str:
    return NO_SPECIES if metrics.num_species == 0 else "no test photos"


def _group_tick(metrics: GroupMetrics) -> str:
    num = "no species" if metrics.num_species == 0 else count_words(metrics.num_species, "species", "species")
    return f"{GROUP_SYMBOLS[metrics.group]} {metrics.group}<br>{num}"


def _bars_of_version(
    rows: Sequence[tuple[float, GroupMetrics]], version: str, width: float, pattern: str
) -> list[Figure]:
    estimates = [(x, metrics.group, metrics.recall) for x, metrics in rows if metrics.recall is not None]
    xs = [x for x, _, _ in estimates]
    bars = {
        "type": "bar",
        "x": xs,
        "y": [estimate.value for _, _, estimate in estimates],
        "width": width * 0.9,
        "marker": {
            "color": [COLOURS[group] for _, group, _ in estimates],
            "pattern": {"shape": pattern, "fgcolor": "--card", "size": 7, "solidity": 0.25},
        },
        "error_y": whiskers(
            [(estimate.value, estimate.interval) for _, _, estimate in estimates],
            "--ink",
            thickness=1.5,
            width=6,
        ),
        "hovertext": [
            f"{version}, {group}: {share(estimate.value)}<br>95% interval {interval_words(estimate.interval)}"
            for _, group, estimate in estimates
        ],
        "hoverinfo": "text",
    }
    texts = {
        "type": "scatter",
        "mode": "text",
        "x": xs,
        "y": [estimate.interval[1] for _, _, estimate in estimates],
        "text": [share(estimate.value) for _, _, estimate in estimates],
        "textposition": "top center",
        "hoverinfo": "skip",
        "cliponaxis": False,
    }
    return [bars, texts]


def recall_by_count(evaluation: Evaluation, names: Names) -> Figure:
    """Recall of each species against its training count. Equal points are spread sideways only."""
    counts = [species.training_count for species in evaluation.species]
    logarithmic = max(counts) > 12 * min(counts)
    seen: defaultdict[tuple[int, float], int] = defaultdict(int)
    traces = []
    for group in GROUPS:
        members = [s for s in evaluation.species if s.group == group and s.recall is not None]
        if not members:
            continue
        xs = []
        for species in members:
            assert species.recall is not None
            key = (species.training_count, species.recall.value)
            xs.append(_spread(species.training_count, seen[key], logarithmic))
            seen[key] += 1
        traces.append(_species_points(group, members, xs, names))
    x: Figure = {"title": "training images", "type": "log" if logarithmic else "linear"}
    if logarithmic:
        x["tickvals"] = [count for count in NICE_COUNTS if count <= 2 * max(counts)]
    else:
        x |= {
            "dtick": max(1, (max(counts) - min(counts)) // 8),
            "range": [min(counts) - 0.6, max(counts) + 0.6],
        }
    return {"data": traces, "layout": layout_of(x, {"title": "recall", **PERCENT_AXIS}, **LEGEND)}


LEGEND: Figure = {"showlegend": True, "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}}


def _spread(count: int, nth: int, logarithmic: bool) -> float:
    """The nth of several equal points: a fixed low-discrepancy step to the side, so a page never changes."""
    shift = 0.0 if nth == 0 else ((nth * GOLDEN) % 1) - 0.5
    return count * (1 + 0.12 * shift) if logarithmic else count + 0.62 * shift


def _species_points(group: Group, members: Sequence[SpeciesMetrics], xs: list[float], names: Names) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{group} ({len(members)})",
        "x": xs,
        "y": [species.recall.value for species in members if species.recall],
        "marker": {
            "color": COLOURS[group],
            "symbol": MARKERS[group],
            "size": 8,
            "opacity": 0.75,
            "line": {"color": "--card", "width": 1},
        },
        "cliponaxis": False,
        "hovertext": [
            f"{_species_hover(species, names)}<br>recall {estimate_words(species.recall)}"
            f"<br>{count_words(species.num_test_images, 'test photo')}"
            for species in members
        ],
        "hoverinfo": "text",
    }


def _species_hover(species: SpeciesMetrics, names: Names) -> str:
    count = count_words(species.training_count, "training image")
    return f"<i>{escape(names[species.label])}</i><br>{count}"


def confusion_bars(evaluation: Evaluation, names: Names) -> Figure:
    """The most frequent mistakes, their names written above the bars to be read on a phone."""
    pairs = evaluation.confusions[:MOST_PAIRS]
    labels = [
        f"<i>{escape(names[pair.true])}</i> named <i>{escape(names[pair.predicted])}</i>" for pair in pairs
    ]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [pair.num_images for pair in pairs],
        "y": list(range(len(pairs))),
        "width": 0.34,
        "marker": {"color": "--accent"},
        "hovertext": [
            f"{label}: {count_words(pair.num_images, 'photo')}"
            for label, pair in zip(labels, pairs, strict=True)
        ],
        "hoverinfo": "text",
    }
    annotations = [
        {
            "x": 0,
            "y": index - 0.42,
            "text": label,
            "showarrow": False,
            "xanchor": "left",
            "yanchor": "middle",
            "align": "left",
        }
        for index, label in enumerate(labels)
    ]
    most = max((pair.num_images for pair in pairs), default=1)
    layout = layout_of(
        {"title": "test photos", "dtick": max(1, most // 6), "range": [0, most * 1.05]},
        {"visible": False, "range": [len(pairs) - 0.5, -0.9]},
        annotations=annotations,
        height=90 + 40 * len(pairs),
    )
    layout["margin"] = {"l": 12, "r": 12, "t": 4, "b": 52}
    return {"data": [bars], "layout": layout}


def long_tail(evaluation: Evaluation, names: Names) -> Figure:
    """Training images of each species, most first: the shape of the tail."""
    ordered = sorted(evaluation.species, key=lambda species: (-species.training_count, names[species.label]))
    traces = []
    for group in GROUPS:
        ranked = [(rank, s) for rank, s in enumerate(ordered, start=1) if s.group == group]
        if not ranked:
            continue
        traces.append(
            {
                "type": "bar",
                "name": f"{GROUP_SYMBOLS[group]} {group} ({len(ranked)})",
                "x": [rank for rank, _ in ranked],
                "y": [species.training_count for _, species in ranked],
                "marker": {"color": COLOURS[group]},
                "hovertext": [_species_hover(species, names) for _, species in ranked],
                "hoverinfo": "text",
            }
        )
    x = {"title": "species, most photographed first"}
    y = {"title": "training images", "rangemode": "tozero"}
    return {"data": traces, "layout": layout_of(x, y, bargap=0.08, **LEGEND)}
