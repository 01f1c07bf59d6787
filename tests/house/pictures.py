"""The pictures of ``docs/trust.md``, drawn from a real evaluation: ``python -m tests.house.pictures EVALUATION.json``.

An evaluation of several test photos a species, such as ``evaluation.json`` of a bundle. Nothing here computes a figure.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from models.evaluation import Estimate, Evaluation, Scope
from models.groups import GROUPS
from tests.house.tree import REPO
from training.compare.svg import COLOURS as GROUP_COLOURS
from training.compare.svg import INK, LINK, drawing
from training.compare.svg import MARKERS as GROUP_MARKERS

FOLDER = REPO / "docs" / "pictures"
SCOPES: tuple[Scope, ...] = ("all", *GROUPS)
COLOURS = dict(zip(SCOPES, (INK, *(GROUP_COLOURS[group] for group in GROUPS)), strict=True))
MARKERS = dict(zip(SCOPES, ("o", *(GROUP_MARKERS[group] for group in GROUPS)), strict=True))
RANKS = {"species": "#8a4b18", "genus": "#b98a66", "family": "#dcc5b2", "unknown": "#eeeae0"}
FEWEST = 30
"""A group of fewer test photos is left out: its intervals would fill the picture."""


def calibration(evaluation: Evaluation, axes: Axes) -> None:
    """Stated probability against the share that was right."""
    axes.plot([0, 1], [0, 1], ":", color="#777777")
    for scope in _shown(evaluation):
        bins = evaluation.reliability[scope]
        stated, right = [part.confidence for part in bins], [part.accuracy for part in bins]
        axes.plot(stated, right, marker=MARKERS[scope], ms=4, color=COLOURS[scope], label=scope)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.set(xlabel="stated probability", ylabel="share that was right")


def sets(evaluation: Evaluation, axes: Axes) -> None:
    """Promised coverage against the mean over species."""
    score = evaluation.prediction_sets[0].score
    reports = [each for each in evaluation.prediction_sets if each.score == score and not each.everything]
    axes.plot([0.8, 0.99], [0.8, 0.99], ":", color="#777777")
    for scope in _shown(evaluation):
        points = [
            (1 - report.alpha, part.macro_coverage)
            for report in reports
            for part in report.groups
            if part.group == scope
        ]
        _whiskers(axes, points, scope, step=0.0025)
    sizes = {
        report.alpha: part.mean_size for report in reports for part in report.groups if part.group == "all"
    }
    words = "\n".join(f"{1 - alpha:.0%}: {size:.1f} species" for alpha, size in sizes.items())
    axes.text(0.98, 0.03, words, transform=axes.transAxes, ha="right", va="bottom", fontsize=9)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.set(xlabel="promised", ylabel="species is in the list")


def roll_up(evaluation: Evaluation, axes: Axes) -> None:
    """Share of all photos answered at each rank, and above each bar how much of what was answered is right."""
    for place, report in enumerate(evaluation.roll_up):
        (part,) = (each for each in report.groups if each.group == "all")
        foot = 0.0
        for rank in part.ranks:
            words = "no name" if rank.kind == "unknown" else rank.kind
            axes.bar(place, rank.share, bottom=foot, color=RANKS[rank.kind], label="" if place else words)
            foot += rank.share
        assert part.accuracy is not None
        axes.text(place, 1.02, f"{part.accuracy.value:.1%} right", ha="center", fontsize=9)
    axes.set_xticks(
        range(len(evaluation.roll_up)), [f"{each.reliability:.0%}" for each in evaluation.roll_up]
    )
    axes.set(xlabel="asked for", ylabel="share of photos", ylim=(0, 1.1))


def several(evaluation: Evaluation, axes: Axes) -> None:
    """Photos named right by one, two and three photos of a species."""
    reports = [report for report in evaluation.several_photos if report.animal == "species"]
    for scope in _shown(evaluation):
        points: list[tuple[float, Estimate]] = []
        for report in reports:
            (part,) = (each for each in report.groups if each.group == scope)
            if not points:
                points.append((1, part.single))
            points.append((report.num_photos, part.combined))
        _whiskers(axes, points, scope, step=0.03)
    axes.set_xticks([1, *(report.num_photos for report in reports)])
    axes.set(xlabel="photos put together", ylabel="named right")


def unknown(evaluation: Evaluation, axes: Axes) -> None:
    """Share that is refused: of known photos, which should be as promised, and of each kind of outsider, all of it."""
    report = evaluation.unknown
    assert report is not None, "this evaluation has nothing on unknown things"
    axes.axhline(report.asked_false_rejection, ls=":", color="#777777")
    scopes = _shown(evaluation)
    refused = {part.group: part.false_rejection for part in report.known}
    for place, scope in enumerate(scopes):
        _whiskers(axes, [(place, refused[scope])], scope, step=0)
        top = refused[scope].interval[1] + 0.03
        axes.text(place, top, f"{refused[scope].value:.1%}", ha="center", va="bottom", fontsize=9)
    ticks = [f"known:\n{scope}" for scope in scopes]
    for place, outsiders in enumerate(report.outsiders, start=len(scopes)):
        aurocs = {each.score: each.auroc for part in outsiders.groups[:1] for each in part.scores}
        estimate = outsiders.refused
        below, above = estimate.value - estimate.interval[0], estimate.interval[1] - estimate.value
        axes.errorbar(
            place, estimate.value, [[below], [above]], marker="X", ms=6, capsize=2, lw=1, color=LINK
        )
        words = f"AUROC\n{aurocs[report.rule].value:.1%}"
        axes.text(place, estimate.interval[0] - 0.03, words, ha="center", va="top", fontsize=9)
        ticks.append({"blank": "empty\nsheets"}.get(outsiders.name, outsiders.name))
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(ylabel="refused", ylim=(0, 1.05), xlim=(-0.5, len(ticks) - 0.5))


PICTURES: dict[str, Callable[[Evaluation, Axes], None]] = {
    "trust-calibration": calibration,
    "trust-sets": sets,
    "trust-roll-up": roll_up,
    "trust-several-photos": several,
    "trust-unknown": unknown,
}


def _shown(evaluation: Evaluation) -> list[Scope]:
    scopes: list[Scope] = ["all"]
    return scopes + [group for group in GROUPS if evaluation.group(group).num_test_images >= FEWEST]


def _whiskers(axes: Axes, points: list[tuple[float, Estimate]], scope: Scope, *, step: float) -> None:
    values = [estimate.value for _, estimate in points]
    below = [estimate.value - estimate.interval[0] for _, estimate in points]
    above = [estimate.interval[1] - estimate.value for _, estimate in points]
    shift = (list(COLOURS).index(scope) - 1.5) * step  # intervals must not lie on each other
    axes.errorbar(
        [x + shift for x, _ in points],
        values,
        [below, above],
        marker=MARKERS[scope],
        ms=4,
        capsize=2,
        lw=1,
        color=COLOURS[scope],
        label=scope,
    )


def draw(evaluation: Evaluation, folder: Path) -> None:
    """Write every picture; the same evaluation gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        with drawing(3.4) as (figure, axes):
            picture(evaluation, axes)
            axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
            figure.legend(loc="outside upper center", ncols=4)
            figure.savefig(
                folder / f"{name}.svg", metadata={"Date": None, "Creator": None}, facecolor="white"
            )


if __name__ == "__main__":
    draw(Evaluation.model_validate_json(Path(sys.argv[1]).read_bytes()), FOLDER)
