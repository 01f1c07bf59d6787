"""Calibration, prediction sets, roll-up and several photos of an evaluation as lines of text."""

from collections.abc import Iterator

from models.conformal import SetScore
from models.evaluation import Estimate, Evaluation
from training.unknown_lines import unknown_lines

SHOWN_ALPHA = 0.1
_SCORES: dict[SetScore, str] = {
    "group": "a limit for each group",
    "prevalence": "prevalence-adjusted score",
    "plain": "plain score",
}


def trust_lines(evaluation: Evaluation) -> list[str]:
    """What a table says of how far answers can be trusted; nothing for an evaluation that does not know."""
    return [
        *_calibration(evaluation),
        *_prediction_sets(evaluation),
        *_roll_up(evaluation),
        *_several_photos(evaluation),
        *unknown_lines(evaluation.unknown),
    ]


def _calibration(evaluation: Evaluation) -> Iterator[str]:
    report = evaluation.calibration
    if report is None:
        return
    yield f"calibrated by {report.method} on {report.num_calibration_images} other photos; ECE before and after:"
    for group in report.groups:
        low, high = group.calibrated.interval
        words = f"{group.uncalibrated.value:.3f} -> "
        if report.method != "temperature":
            words += f"{group.one_temperature.value:.3f} by one temperature -> "
        yield (
            f"  {group.group:<11} {words}{group.calibrated.value:.3f}  ({low:.3f} to {high:.3f}), "
            f"by chance up to {group.by_chance:.3f}"
        )


def _prediction_sets(evaluation: Evaluation) -> Iterator[str]:
    for report in evaluation.prediction_sets:
        if report.alpha != SHOWN_ALPHA:
            continue
        few = ", which are too few: every species" if report.everything else ""
        yield (
            f"sets that promise {1 - report.alpha:.0%}, {_SCORES[report.score]}, "
            f"{report.num_calibration_images} photos{few}:"
        )
        for group in report.groups:
            low, high = group.mean_size_interval
            yield (
                f"  {group.group:<11} covered {_estimate(group.coverage)}, "
                f"mean over species {_estimate(group.macro_coverage)}, "
                f"{group.mean_size:.2f} species a set ({low:.2f} to {high:.2f})"
            )


def _roll_up(evaluation: Evaluation) -> Iterator[str]:
    for report in evaluation.roll_up:
        yield f"asked to be {report.reliability:.0%} sure:"
        for group in report.groups:
            shares = ", ".join(f"{rank.kind} {rank.share:.1%}" for rank in group.ranks)
            right = "no answer" if group.accuracy is None else f"right {_estimate(group.accuracy)}"
            yield f"  {group.group:<11} {right}; {shares}"


def _several_photos(evaluation: Evaluation) -> Iterator[str]:
    for report in evaluation.several_photos:
        shared = "species and session" if report.animal == "session" else "species"
        yield f"{report.num_photos} photos of one {shared} together, named right:"
        for group in report.groups:
            low, high = group.gain_interval
            other = (
                "" if group.by_embedding is None else f", by mean embedding {group.by_embedding.value:.1%}"
            )
            yield (
                f"  {group.group:<11} {group.num_animals} times, one {group.single.value:.1%} -> all "
                f"{_estimate(group.combined)}{other}; gain {100 * group.gain:+.1f} points ({100 * low:+.1f} to "
                f"{100 * high:+.1f}), stated {group.stated:.1%}"
            )


def _estimate(estimate: Estimate) -> str:
    low, high = estimate.interval
    return f"{estimate.value:.1%} ({low:.1%} to {high:.1%})"
