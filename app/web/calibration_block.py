"""Whether stated probabilities hold: the block of ``/performance`` about calibration. Pure."""

from app.web.calibration_plot import reliability_diagram
from app.web.formatting import NO_SPECIES, NO_TEST_PHOTOS, share
from app.web.plot_block import Cell, PlotBlock
from models.evaluation import CalibrationGroup, Evaluation, Scope
from models.groups import GROUPS, Group


def calibration_block(evaluation: Evaluation) -> PlotBlock:
    """The reliability diagram, and ECE by group; with its interval and what chance makes, where they were measured."""
    report = evaluation.calibration
    columns = ["Group", "ECE", "Test photos", "Mean stated", "Right"]
    if report is not None:
        columns[2:2] = ["By chance up to", "Before calibrating"]
    return PlotBlock(
        id="calibration",
        heading="Is a stated probability honest?",
        text="Answers are sorted by the probability they state and compared with how often they were right. "
        "Points under the dotted line are too sure of themselves. ECE, the expected calibration error, is "
        "the mean distance from the line, weighted by photos: 0 is best. A point stands for ten photos or "
        f"more, where a group has so many. {_how(evaluation)}",
        figure=reliability_diagram(evaluation),
        caption="Calibration by group",
        columns=tuple(columns),
        rows=(*(_row(evaluation, group) for group in GROUPS), _all_row(evaluation)),
        wide=report is not None,
    )


def _how(evaluation: Evaluation) -> str:
    report = evaluation.calibration
    if report is None:
        return "How far chance alone explains an ECE was not measured for this version."
    method = {"temperature": "one temperature", "training count": "a temperature by training count"}
    return (
        f"Probabilities were calibrated by {method[report.method]} on {report.num_calibration_images} other photos. "
        "Few photos alone make an ECE: one below the column of chance is no sign of a fault."
    )


def _row(evaluation: Evaluation, group: Group) -> tuple[Cell, ...]:
    metrics = evaluation.group(group)
    absent = NO_SPECIES if metrics.num_species == 0 else NO_TEST_PHOTOS
    extra = _extra(evaluation, group, absent)
    if metrics.ece is None:
        return (Cell(group, group=group), Cell(absent), *extra, Cell("0"), Cell(absent), Cell(absent))
    stated, right = _means(evaluation, group)
    return (
        Cell(group, group=group),
        Cell(_error(evaluation, group, metrics.ece)),
        *extra,
        Cell(str(metrics.num_test_images)),
        Cell(stated),
        Cell(right),
    )


def _all_row(evaluation: Evaluation) -> tuple[Cell, ...]:
    stated, right = _means(evaluation, "all")
    return (
        Cell("all"),
        Cell(_error(evaluation, "all", evaluation.ece)),
        *_extra(evaluation, "all", NO_TEST_PHOTOS),
        Cell(str(evaluation.num_test_images)),
        Cell(stated),
        Cell(right),
    )


def _found(evaluation: Evaluation, scope: Scope) -> CalibrationGroup | None:
    groups = evaluation.calibration.groups if evaluation.calibration else ()
    return next((group for group in groups if group.group == scope), None)


def _error(evaluation: Evaluation, scope: Scope, ece: float) -> str:
    found = _found(evaluation, scope)
    if found is None:
        return f"{ece:.3f}"
    low, high = found.calibrated.interval
    return f"{found.calibrated.value:.3f} ({low:.3f}–{high:.3f})"


def _extra(evaluation: Evaluation, scope: Scope, absent: str) -> tuple[Cell, ...]:
    if evaluation.calibration is None:
        return ()
    found = _found(evaluation, scope)
    if found is None:
        return (Cell(absent), Cell(absent))
    return (Cell(f"{found.by_chance:.3f}"), Cell(f"{found.uncalibrated.value:.3f}"))


def _means(evaluation: Evaluation, group: str) -> tuple[str, str]:
    bins = [part for name, parts in evaluation.reliability.items() if name == group for part in parts]
    num = sum(part.num_images for part in bins)
    stated = sum(part.confidence * part.num_images for part in bins) / num
    right = sum(part.accuracy * part.num_images for part in bins) / num
    return share(stated), share(right)
