"""An evaluation -> the figures of a card: few, each with its interval and what exactly it is. Pure."""

from collections.abc import Iterator

from models.card import Figure
from models.evaluation import Estimate, Evaluation, RollUpReport, SetReport
from models.groups import GROUPS

ALPHA = 0.1
RELIABILITY = 0.9


def card_figures(evaluation: Evaluation) -> tuple[Figure, ...]:
    """Accuracy, recall by group, ECE overall and by group; at alpha 0.1 what sets hold, at 0.9 what was answered."""
    return (
        _figure("accuracy", evaluation.accuracy, "share of test photos named right; Wilson interval"),
        *_recalls(evaluation),
        *_calibration_errors(evaluation),
        *(figure for report in _first_sets(evaluation) for figure in _sets(report)),
        *(figure for report in evaluation.roll_up for figure in _answered(report)),
    )


def _recalls(evaluation: Evaluation) -> Iterator[Figure]:
    for group in GROUPS:
        recall = evaluation.group(group).recall
        if recall is not None:
            words = f"mean recall of the {group} species; bootstrap within species, or Wilson where wider"
            yield _figure(f"{group} recall", recall, words)


def _calibration_errors(evaluation: Evaluation) -> Iterator[Figure]:
    definition = "expected calibration error, 15 equal-mass bins"
    report = evaluation.calibration
    if report is None:
        yield Figure(name="ECE", value=evaluation.ece, definition=definition)
        return
    for group in report.groups:
        whose = "" if group.group == "all" else f"{group.group} "
        yield _figure(
            f"{whose}ECE",
            group.calibrated,
            f"{definition}, over {group.num_images} test photos; by chance alone up to {group.by_chance:.3f}",
        )


def _first_sets(evaluation: Evaluation) -> list[SetReport]:
    """Those at ``ALPHA`` of the score that the service uses, which comes first."""
    return [report for report in evaluation.prediction_sets if report.alpha == ALPHA][:1]


def _sets(report: SetReport) -> Iterator[Figure]:
    whole = report.groups[0]
    if report.everything:
        return
    yield _figure(
        "macro-coverage at 0.9",
        whole.macro_coverage,
        "share of test photos whose species is in the prediction set that promises 90%, mean over species",
    )
    yield Figure(
        name="set size at 0.9",
        value=whole.mean_size,
        interval=whole.mean_size_interval,
        definition="mean number of species in that set; normal interval",
        unit="count",
    )


def _answered(report: RollUpReport) -> Iterator[Figure]:
    whole = report.groups[0]
    if report.reliability != RELIABILITY or whole.accuracy is None:
        return
    yield _figure(
        "answered right at 0.9",
        whole.accuracy,
        "of test photos answered at any rank where 90% is asked for, the share answered right; Wilson interval",
    )
    answered = sum(rank.share for rank in whole.ranks if rank.kind != "unknown")
    yield Figure(
        name="answered at 0.9",
        value=answered,
        definition="share of test photos answered with a species, genus or family where 90% is asked for",
    )


def _figure(name: str, estimate: Estimate, definition: str) -> Figure:
    return Figure(name=name, value=estimate.value, interval=estimate.interval, definition=definition)
