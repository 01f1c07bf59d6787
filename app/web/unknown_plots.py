"""What a model does with what it knows and with what it does not know -> Plotly figures, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.web.formatting import GROUP_SYMBOLS, estimate_words, interval_words, share
from app.web.plots import COLOURS, LEGEND, MARKERS, PERCENT_AXIS, Figure, layout_of, whiskers
from models.evaluation import KnownGroup, Scope, ScoreQuality
from models.groups import GROUPS
from models.unknown import Verdict


@dataclass(frozen=True)
class VerdictStyle:
    """How the bars of one verdict are drawn: no two differ by colour alone."""

    name: str
    colour: str
    opacity: float = 1.0
    pattern: str = ""


VERDICTS: dict[Verdict, VerdictStyle] = {
    "not_a_moth": VerdictStyle("called no moth", "--accent"),
    "unknown_moth": VerdictStyle("called an unknown moth", "--accent", 0.65, "/"),
    "unclear": VerdictStyle("refused, unclear which", "--accent", 0.35),
    "known": VerdictStyle("taken for a known species", "--bad", 1.0, "x"),
}
"""From the left of a bar to its right: what is refused, and last what is not."""


def false_rejections(known: Sequence[KnownGroup], promised: float) -> Figure:
    """Photos of known species that were refused, a bar a group, with what was promised as a dotted line."""
    parts = {part.group: part.false_rejection for part in known}
    rows = [(place, group, parts[group]) for place, group in enumerate(GROUPS) if group in parts]
    bars: Figure = {
        "type": "bar",
        "name": "refused",
        "x": [place for place, _, _ in rows],
        "y": [refused.value for _, _, refused in rows],
        "width": 0.55,
        "marker": {"color": [COLOURS[group] for _, group, _ in rows]},
        "error_y": whiskers(
            [(refused.value, refused.interval) for _, _, refused in rows], "--ink", thickness=1.4, width=5
        ),
        "hovertext": [
            f"{group}: {share(refused.value)}<br>95% interval {interval_words(refused.interval)}"
            for _, group, refused in rows
        ],
        "hoverinfo": "text",
        "showlegend": False,
    }
    line: Figure = {
        "type": "scatter",
        "mode": "lines",
        "name": f"promised: {share(promised)}",
        "x": [-0.5, 2.5],
        "y": [promised, promised],
        "line": {"color": "--ink-soft", "dash": "dot", "width": 1.5},
        "hoverinfo": "skip",
    }
    ticks = {
        "tickvals": list(range(len(GROUPS))),
        "ticktext": [f"{GROUP_SYMBOLS[group]} {group}" for group in GROUPS],
        "range": [-0.5, 2.5],
        "showgrid": False,
        "zeroline": False,
    }
    highest = max([2 * promised, *(refused.interval[1] for _, _, refused in rows)])
    y = {"title": "refused though known", "tickformat": ".0%", "range": [0, 1.08 * highest]}
    return {"data": [bars, line], "layout": layout_of(ticks, y, **LEGEND)}


def verdict_stacks(kinds: Sequence[tuple[str, dict[Verdict, float]]]) -> Figure:
    """What was said of each kind of outsider: a bar each, its shares from left to right."""
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": style.name,
            "x": [shares.get(verdict, 0.0) for _, shares in kinds],
            "y": list(range(len(kinds))),
            "width": 0.6,
            "opacity": style.opacity,
            "marker": {
                "color": style.colour,
                "line": {"color": "--card", "width": 1},
                "pattern": {
                    "shape": style.pattern,
                    "bgcolor": style.colour,  # without it Plotly draws one colour of bars as stripes on nothing
                    "fgcolor": "--card",
                    "size": 7,
                    "solidity": 0.25,
                },
            },
            "hovertext": [
                f"{name}: {share(shares.get(verdict, 0.0))} {style.name}" for name, shares in kinds
            ],
            "hoverinfo": "text",
        }
        for verdict, style in VERDICTS.items()
    ]
    x = {"title": "share of photos", **PERCENT_AXIS, "range": [0, 1.02]}
    legend = {**LEGEND, "legend": {**LEGEND["legend"], "traceorder": "normal"}}
    height = 190 + 44 * len(kinds)
    return {
        "data": traces,
        "layout": layout_of(x, _kinds([name for name, _ in kinds]), barmode="stack", height=height, **legend),
    }


def told_apart(kinds: Sequence[tuple[str, dict[Scope, ScoreQuality]]]) -> Figure:
    """AUROC of each kind of outsider against the known photos of each group, with intervals."""
    traces = []
    for number, group in enumerate(GROUPS):
        rows = [
            (place + 0.22 * (number - 1), name, found[group].auroc)
            for place, (name, found) in enumerate(kinds)
            if group in found
        ]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"against {group}",
                "x": [auroc.value for _, _, auroc in rows],
                "y": [y for y, _, _ in rows],
                "marker": {"color": COLOURS[group], "symbol": MARKERS[group], "size": 10},
                "error_x": whiskers(
                    [(auroc.value, auroc.interval) for _, _, auroc in rows],
                    COLOURS[group],
                    thickness=1.4,
                    width=5,
                ),
                "cliponaxis": False,
                "hovertext": [f"{name} against {group}: {estimate_words(auroc)}" for _, name, auroc in rows],
                "hoverinfo": "text",
            }
        )
    lows = [found[group].auroc.interval[0] for _, found in kinds for group in found]
    x = {"title": "told apart (AUROC)", "tickformat": ".0%", "range": [min(0.9, *lows) - 0.02, 1.005]}
    names = [name for name, _ in kinds]
    return {
        "data": [trace for trace in traces if trace["x"]],
        "layout": layout_of(x, _kinds(names), height=150 + 72 * len(kinds), **LEGEND),
    }


def _kinds(names: Sequence[str]) -> Figure:
    """An axis with a kind of outsider at each whole number, the first at the top."""
    return {
        "tickvals": list(range(len(names))),
        "ticktext": [name.replace(" ", "<br>", 1) for name in names],
        "range": [len(names) - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
    }
