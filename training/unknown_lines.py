"""What an evaluation says of unknown things, as lines of text."""

from collections.abc import Iterator

from models.evaluation import Estimate, OutsiderReport, UnknownReport

_WORDS = {
    "known": "passes as known",
    "unknown_moth": "unknown moth",
    "unclear": "unclear",
    "not_a_moth": "not a moth",
}


def unknown_lines(report: UnknownReport | None) -> Iterator[str]:
    """Known photos by group, then each kind of outsider with every score; nothing for no report."""
    if report is None:
        return
    yield (
        f"unknown by {report.rule.replace('_', ' ')}, thresholds for {report.asked_false_rejection:.0%} of known "
        f"photos, fitted on {report.num_calibration_images} others:"
    )
    for known in report.known:
        right = (
            ""
            if known.accuracy_of_kept is None
            else f", names of kept right {_estimate(known.accuracy_of_kept)}"
        )
        if known.accuracy_of_refused is not None:
            right += f", of refused {_estimate(known.accuracy_of_refused)}"
        yield (
            f"  {known.group:<11} {known.num_images} known photos, called unknown "
            f"{_estimate(known.false_rejection)}{right}"
        )
    for outsiders in report.outsiders:
        yield from _outsiders(outsiders, report.rule)


def _outsiders(report: OutsiderReport, rule: str) -> Iterator[str]:
    shares = ", ".join(f"{_WORDS[word]} {share:.1%}" for word, share in report.verdicts.items())
    yield f"{report.name}: {report.num_images} photos, refused {_estimate(report.refused)}; {shares}"
    for group in report.groups:
        for quality in group.scores:
            if group.group != "all" and quality.score != rule:
                continue
            low, high = quality.auroc.interval
            yield (
                f"  {group.group:<7} {quality.score:<11} AUROC {quality.auroc.value:.4f} ({low:.4f} to {high:.4f}), "
                f"FPR@95 {_estimate(quality.fpr95)}"
            )


def _estimate(estimate: Estimate) -> str:
    low, high = estimate.interval
    return f"{estimate.value:.1%} ({low:.1%} to {high:.1%})"
