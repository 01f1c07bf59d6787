"""Prediction sets, ranks of answers and several photos of an animal -> Plotly figures, as plain data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.web.formatting import GROUP_SYMBOLS, estimate_words, interval_words, share
from app.web.plots import COLOURS, LEGEND, MARKERS, PERCENT_AXIS, Figure, layout_of, whiskers
from models.decision import DecisionKind
from models.evaluation import (
    Estimate,
    Interval,
    RollUpReport,
    Scope,
    SetReport,
    SeveralPhotosGroup,
    SeveralPhotosReport,
)
from models.groups import GROUPS, Group
from models.words import count_words

RANKS: dict[DecisionKind, float] = {"species": 1.0, "genus": 0.6, "family": 0.3, "unknown": 1.0}
"""Ranks of a stack of answers, from its foot up, and how opaque each is drawn."""

ALL_SIGN = "○"


@dataclass(frozen=True)
class Point:
    """One measured value of a group at a promise. ``interval`` None: not drawn."""

    promise: float
    value: float
    interval: Interval
    words: str


def against_promise(
    points: Callable[[Group], Sequence[Point]], *, x: str, y: str, line: str, y_axis: Figure
) -> Figure:
    """A line a group over what was promised, with intervals; ``line`` names the dotted one of keeping it, if any."""
    traces: list[Figure] = []
    if line:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [0.78, 1.0],
                "y": [0.78, 1.0],
                "name": line,
                "line": {"color": "--ink-soft", "dash": "dot", "width": 1.5},
                "hoverinfo": "skip",
            }
        )
    traces += [
        _line(group, number, found) for number, group in enumerate(GROUPS) if (found := list(points(group)))
    ]
    ticks = {"tickvals": [0.8, 0.85, 0.9, 0.95, 0.99], "tickformat": ".0%", "range": [0.775, 1.005]}
    return {"data": traces, "layout": layout_of({"title": x, **ticks}, {"title": y, **y_axis}, **LEGEND)}


def _line(group: Group, number: int, points: Sequence[Point]) -> Figure:
    shift = 0.0025 * (number - 1)  # intervals of three groups must not lie on each other
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": group,
        "x": [point.promise + shift for point in points],
        "y": [point.value for point in points],
        "line": {"color": COLOURS[group], "width": 1.5},
        "marker": {
            "color": COLOURS[group],
            "symbol": MARKERS[group],
            "size": 9,
            "line": {"color": "--card", "width": 1},
        },
        "error_y": whiskers(
            [(point.value, point.interval) for point in points], COLOURS[group], thickness=1.2, width=4
        ),
        "cliponaxis": False,
        "hovertext": [f"{group} at {share(point.promise)}: {point.words}" for point in points],
        "hoverinfo": "text",
    }


def set_coverage(reports: Sequence[SetReport]) -> Figure:
    """Share of photos whose species is in the set, mean over species, by what was promised."""

    def points(group: Group) -> list[Point]:
        return [
            Point(1 - report.alpha, part.macro_coverage.value, part.macro_coverage.interval, words)
            for report in reports
            for part in report.groups
            if part.group == group and (words := estimate_words(part.macro_coverage))
        ]

    lowest = min((part.macro_coverage.interval[0] for report in reports for part in report.groups), default=0)
    axis = {"tickformat": ".0%", "range": [min(0.7, lowest - 0.03), 1.02]}
    return against_promise(points, x="promised", y="species is in the list", line="as promised", y_axis=axis)


def set_sizes(reports: Sequence[SetReport]) -> Figure:
    """Mean number of species in a set, by what was promised."""

    def points(group: Group) -> list[Point]:
        return [
            Point(1 - report.alpha, part.mean_size, part.mean_size_interval, f"{part.mean_size:.2f} species")
            for report in reports
            for part in report.groups
            if part.group == group
        ]

    axis = {"rangemode": "tozero"}
    return against_promise(points, x="promised", y="species in a list", line="", y_axis=axis)


def answered_right(reports: Sequence[RollUpReport]) -> Figure:
    """Share of the answers that were right, by the reliability that was asked for."""

    def points(group: Group) -> list[Point]:
        return [
            Point(report.reliability, part.accuracy.value, part.accuracy.interval, words)
            for report in reports
            for part in report.groups
            if part.group == group and part.accuracy and (words := estimate_words(part.accuracy))
        ]

    lows = [part.accuracy.interval[0] for report in reports for part in report.groups if part.accuracy]
    axis = {"tickformat": ".0%", "range": [min(0.7, min(lows, default=1) - 0.03), 1.02]}
    return against_promise(
        points, x="asked for", y="right, of what was answered", line="as asked", y_axis=axis
    )


def rank_stacks(reports: Sequence[RollUpReport]) -> Figure:
    """Share of photos answered at each rank: a stack for each group at each asked reliability."""
    scopes: tuple[Scope, ...] = ("all", *GROUPS)
    stacks = [
        (share(report.reliability), scope, {rank.kind: rank for rank in part.ranks})
        for report in reports
        for scope in scopes
        for part in report.groups
        if part.group == scope
    ]
    traces = [
        {
            "type": "bar",
            "name": "no name" if kind == "unknown" else kind,
            "x": [[asked for asked, _, _ in stacks], [_sign(scope) for _, scope, _ in stacks]],
            "y": [ranks[kind].share for _, _, ranks in stacks],
            "opacity": opacity,
            "marker": {
                "color": "--rule" if kind == "unknown" else "--accent",
                "line": {"color": "--card", "width": 1},
            },
            "hovertext": [
                f"asked {asked}, {scope}: {share(ranks[kind].share)} {kind}" for asked, scope, ranks in stacks
            ],
            "hoverinfo": "text",
        }
        for kind, opacity in RANKS.items()
    ]
    x: Figure = {"title": "asked for", "showgrid": False, "tickangle": 0}
    y = {"title": "share of photos", **PERCENT_AXIS, "range": [0, 1.02]}
    legend = {**LEGEND, "legend": {**LEGEND["legend"], "traceorder": "normal"}}
    return {"data": traces, "layout": layout_of(x, y, barmode="stack", bargap=0.12, **legend)}


def _sign(scope: Scope) -> str:
    return ALL_SIGN if scope == "all" else GROUP_SYMBOLS[scope]


def several_bars(reports: Sequence[SeveralPhotosReport]) -> Figure:
    """Named right by one, two and three photos, a bar each, by group. ``reports``: of one kind, pairs first."""
    bars: list[tuple[str, dict[Group, Estimate]]] = [
        ("1 photo", _by_group(reports[0], lambda group: group.single))
    ] + [
        (
            count_words(report.num_photos, "photo"),
            _by_group(report, lambda group: group.combined),
        )
        for report in reports
    ]
    width = 0.78 / len(bars)
    traces: list[Figure] = []
    for number, ((name, found), pattern) in enumerate(zip(bars, ("", "/", "x", "."), strict=False)):
        offset = (number - (len(bars) - 1) / 2) * width
        rows = [(place + offset, group, found[group]) for place, group in enumerate(GROUPS) if group in found]
        traces.append(
            {
                "type": "bar",
                "name": name,
                "x": [x for x, _, _ in rows],
                "y": [estimate.value for _, _, estimate in rows],
                "width": width * 0.9,
                "marker": {
                    "color": [COLOURS[group] for _, group, _ in rows],
                    "pattern": {"shape": pattern, "fgcolor": "--card", "size": 7, "solidity": 0.25},
                },
                "error_y": whiskers(
                    [(estimate.value, estimate.interval) for _, _, estimate in rows],
                    "--ink",
                    thickness=1.2,
                    width=4,
                ),
                "hovertext": [
                    f"{group}, {name}: {share(estimate.value)}<br>95% interval {interval_words(estimate.interval)}"
                    for _, group, estimate in rows
                ],
                "hoverinfo": "text",
            }
        )
    ticks = {
        "tickvals": list(range(len(GROUPS))),
        "ticktext": [f"{GROUP_SYMBOLS[group]} {group}" for group in GROUPS],
        "range": [-0.5, 2.5],
        "showgrid": False,
        "zeroline": False,
    }
    y = {"title": "named right", **PERCENT_AXIS, "range": [0, 1.06]}
    return {"data": traces, "layout": layout_of(ticks, y)}


def _by_group(
    report: SeveralPhotosReport, value: Callable[[SeveralPhotosGroup], Estimate]
) -> dict[Group, Estimate]:
    return {part.group: value(part) for part in report.groups if part.group != "all"}
