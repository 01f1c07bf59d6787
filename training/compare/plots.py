"""Methods -> plots. Groups differ by colour and by sign, methods by sign; error bars are 95% intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from models.groups import GROUPS, Group, GroupRule
from training.compare.labels import Box, place_labels
from training.compare.methods import Method
from training.compare.page import Plot
from training.compare.statistics import Difference
from training.compare.svg import ACCENT, COLOURS, INK, INK_SOFT, LINK, MARKERS, PAPER, drawing, inline

_ROW_IN = 0.36
_FONT, _LETTER = 10.5, 0.56


def counts_plot(counts: Sequence[int], rule: GroupRule) -> Plot:
    """Training photos of each species, most photographed first."""
    ordered = np.array(sorted(counts, reverse=True))
    groups = np.array(rule.assign(ordered.tolist()))
    with drawing(3.0) as (figure, axes):
        for group in GROUPS:
            places = np.flatnonzero(groups == group)
            if len(places):
                axes.bar(places, ordered[places], width=1.0, color=COLOURS[group])
                axes.text(
                    places.mean(), ordered[places].max() * 1.12, group, color=COLOURS[group], ha="center"
                )
        axes.set_yscale("log")
        axes.set_ylim(0.8, ordered.max() * 1.8)
        axes.set_yticks(_nice_counts(1, int(ordered.max())))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set(xlabel="species, most photographed first", ylabel="training photos")
        return inline(figure, "counts", "Training photos of each species, most photographed first.")


def _nice_counts(lowest: int, highest: int) -> list[int]:
    """Ticks of a logarithmic axis of counts.

    >>> _nice_counts(2, 99)
    [2, 5, 10, 20, 50]
    """
    nice = [step * 10**power for power in range(7) for step in (1, 2, 5)]
    return [count for count in nice if lowest <= count <= highest]


def groups_plot(methods: Sequence[Method], names: Sequence[str], name: str, caption: str) -> Plot:
    """Recall of head, middle and tail: a row a method, in the order given, under ``names``."""
    rows = np.arange(len(methods), dtype=np.float64)[::-1]
    with drawing(1.1 + _ROW_IN * len(methods)) as (figure, axes):
        for group, shift in zip(GROUPS, (0.22, 0.0, -0.22), strict=True):
            _points_with_intervals(axes, methods, (rows + shift).tolist(), group)
        axes.set_yticks(rows, names, fontsize=_FONT, color=INK)
        axes.set_ylim(-0.6, len(methods) - 0.4)
        axes.set(xlabel="mean recall of the group, %")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        for row in rows[:-1]:
            axes.axhline(row - 0.5, color="#ece4d2", linewidth=0.8, zorder=0)
        _group_legend(axes)
        return inline(figure, name, caption)


def _points_with_intervals(axes: Axes, methods: Sequence[Method], ys: Sequence[float], group: Group) -> None:
    for method, y in zip(methods, ys, strict=True):
        found = method.on_test(group)
        if found is None:
            continue
        low, high = method.intervals[group]
        axes.plot([100 * low, 100 * high], [y, y], color=COLOURS[group], linewidth=1.2, alpha=0.65)
        axes.plot(
            100 * found.mean,
            y,
            MARKERS[group],
            color=COLOURS[group],
            markersize=5.5,
            markeredgecolor=PAPER,
            markeredgewidth=0.6,
        )


def _group_legend(axes: Axes) -> None:
    handles = [
        Line2D([], [], color=COLOURS[group], marker=MARKERS[group], linestyle="none", label=group)
        for group in GROUPS
    ]
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderpad=0, handletextpad=0.2
    )


def trade_off_plot(methods: Sequence[Method], named: Sequence[Method]) -> Plot:
    """Head recall against tail recall, one point a method, numbered as in the table; ``named`` have their names too."""
    shown = [
        (number, method, head.mean * 100, tail.mean * 100)
        for number, method in enumerate(methods, 1)
        if (head := method.on_test("head")) and (tail := method.on_test("tail"))
    ]
    with drawing(4.9) as (figure, axes):
        for _, method, x, y in shown:
            (left, right), (low, high) = method.intervals["head"], method.intervals["tail"]
            axes.plot([100 * left, 100 * right], [y, y], color=INK_SOFT, linewidth=0.7, alpha=0.4)
            axes.plot([x, x], [100 * low, 100 * high], color=INK_SOFT, linewidth=0.7, alpha=0.4)
        for _, method, x, y in shown:
            colour, marker = (ACCENT, "D") if method in named else (LINK, "o")
            axes.plot(x, y, marker, color=colour, markersize=6, markeredgecolor=PAPER, markeredgewidth=0.6)
        axes.set(xlabel="head recall, %", ylabel="tail recall, %")
        axes.margins(0.06)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
        axes.grid()
        figure.draw_without_rendering()
        texts = [f"{n} {m.name}" if m in named else str(n) for n, m, _, _ in shown]
        _label(axes, [(x, y) for _, _, x, y in shown], texts)
        caption = "Head recall against tail recall. Numbers are the places in the overall table."
        return inline(figure, "trade-off", caption)


def _label(axes: Axes, points: Sequence[tuple[float, float]], texts: Sequence[str]) -> None:
    places = axes.transData.transform(np.array(points).reshape(-1, 2))
    frame = Box(*axes.get_window_extent().extents)
    sizes = [(_LETTER * _FONT * len(text), _FONT) for text in texts]
    boxes = place_labels([(float(x), float(y)) for x, y in places], sizes, frame)
    for text, box, (x, y) in zip(texts, boxes, places, strict=True):
        centre = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
        axes.annotate(
            text,
            xy=(x, y),
            xycoords="figure pixels",
            xytext=centre,
            textcoords="figure pixels",
            fontsize=_FONT,
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "color": INK_SOFT, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
            if _is_far(box, x, y)
            else None,
        )


def _is_far(box: Box, x: float, y: float) -> bool:
    across = max(box.left - x, 0, x - box.right)
    up = max(box.bottom - y, 0, y - box.top)
    return bool(np.hypot(across, up) > 12)


def species_plot(counts: Sequence[int], methods: Sequence[tuple[Method, str, str]]) -> Plot:
    """Recall of each species against its training photos, with the mean of species of similar counts.

    ``methods`` come with a colour and a marker each.
    """
    with drawing(3.8) as (figure, axes):
        for method, colour, marker in methods:
            known = [
                (count, r * 100)
                for count, r in zip(counts, method.species_recall, strict=True)
                if r is not None
            ]
            x, y = np.array(known).T
            axes.plot(x, y, marker, color=colour, markersize=4.5, alpha=0.35, markeredgewidth=0)
            axes.plot(
                *_binned(x, y), color=colour, linewidth=2, marker=marker, markersize=6, label=method.name
            )
        axes.set_xscale("log")
        axes.set_xticks(_nice_counts(min(counts), max(counts)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(xlabel="training photos of the species", ylabel="recall, %", ylim=(-4, 104))
        axes.grid()
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderpad=0)
        caption = (
            "Recall of each species against its training photos. Lines: mean of species with similar counts."
        )
        return inline(figure, "species", caption)


def _binned(
    x: NDArray[np.float64], y: NDArray[np.float64], num: int = 7
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of about equally many species each; species of one count stay together."""
    edges = np.unique(np.quantile(x, np.linspace(0, 1, num + 1)))
    place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, max(len(edges) - 2, 0))
    kept = np.unique(place)
    return (
        np.array([np.exp(np.log(x[place == k]).mean()) for k in kept]),
        np.array([y[place == k].mean() for k in kept]),
    )


def differences_plot(rows: Sequence[tuple[str, Mapping[str, Difference]]], name: str, caption: str) -> Plot:
    """Differences of head, middle and tail recall with their intervals: a row each, in the order given."""
    ys = np.arange(len(rows))[::-1]
    with drawing(1.1 + 0.42 * len(rows)) as (figure, axes):
        axes.axvline(0, color=INK, linewidth=1)
        for (_, differences), row in zip(rows, ys, strict=True):
            for group, shift in zip(GROUPS, (0.22, 0.0, -0.22), strict=True):
                if group not in differences:
                    continue
                found = differences[group]
                ends = [100 * bound for bound in found.interval]
                axes.plot(ends, [row + shift] * 2, color=COLOURS[group], linewidth=1.4, alpha=0.65)
                axes.plot(
                    100 * found.value, row + shift, MARKERS[group], color=COLOURS[group], markersize=5.5
                )
        axes.set_yticks(ys, [label for label, _ in rows], fontsize=_FONT, color=INK)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel="percentage points of recall")
        axes.grid(axis="x")
        _group_legend(axes)
        return inline(figure, name, caption)
