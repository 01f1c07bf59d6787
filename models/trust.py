"""How far answers can be trusted: calibration, prediction sets and roll-up by group, each with intervals.

N test photos, C classes, A alphas, R replicates. Pure numpy; no files. Nothing here is fitted: what is judged was
fitted on other photos.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.conformal import SetRule
from models.decision import Decision, RollUp
from models.differences import errors_of_sorted
from models.evaluation import (
    CalibrationGroup,
    Estimate,
    RankAnswers,
    RollUpGroup,
    RollUpReport,
    Scope,
    SetGroup,
    SetReport,
)
from models.groups import GROUPS, Group
from models.metrics import (
    NUM_BOOTSTRAP,
    Z_95,
    expected_calibration_error,
    reliability_bins,
    wilson,
)
from models.taxonomy import Taxon

RELIABILITIES = (0.80, 0.90, 0.95, 0.99)
REPORTED_ALPHAS = (0.01, 0.02, 0.05, 0.10, 0.15, 0.20)
_CHUNK = 50


@dataclass(frozen=True)
class SetOutcomes:
    """What one rule's sets did on each photo: covered bool [A, N] and size int [A, N], for ``REPORTED_ALPHAS``."""

    covered_AN: NDArray[np.bool_]
    size_AN: NDArray[np.int64]


def scopes(groups: Sequence[Group], labels_N: NDArray[np.int64]) -> dict[Scope, NDArray[np.bool_]]:
    """Which photos each scope holds, bool [N]; a scope without a photo is left out."""
    group_N = np.array(groups)[labels_N]
    members: dict[Scope, NDArray[np.bool_]] = {"all": np.ones(len(labels_N), dtype=bool)}
    for group in GROUPS:
        members[group] = group_N == group
    return {scope: member_N for scope, member_N in members.items() if member_N.any()}


def calibration_groups(
    uncalibrated_NC: NDArray[np.float64],
    one_temperature_NC: NDArray[np.float64],
    calibrated_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    groups: Sequence[Group],
    *,
    seed: int = 0,
    num_bootstrap: int = NUM_BOOTSTRAP,
) -> tuple[CalibrationGroup, ...]:
    """ECE of three ways to probabilities, by group."""

    def error(probabilities_NC: NDArray[np.float64], member_N: NDArray[np.bool_]) -> Estimate:
        confidence_N = probabilities_NC[member_N].max(axis=1)
        correct_N = probabilities_NC[member_N].argmax(axis=1) == labels_N[member_N]
        return calibration_error(confidence_N, correct_N, seed=seed, num_bootstrap=num_bootstrap)

    return tuple(
        CalibrationGroup(
            group=scope,
            num_images=int(member_N.sum()),
            uncalibrated=error(uncalibrated_NC, member_N),
            one_temperature=error(one_temperature_NC, member_N),
            calibrated=error(calibrated_NC, member_N),
            by_chance=error_by_chance(
                calibrated_NC[member_N].max(axis=1), seed=seed, num_replicates=num_bootstrap
            ),
        )
        for scope, member_N in scopes(groups, labels_N).items()
    )


def calibration_error(
    confidence_N: NDArray[np.float64],
    correct_N: NDArray[np.bool_],
    *,
    seed: int = 0,
    num_bootstrap: int = NUM_BOOTSTRAP,
) -> Estimate:
    """ECE over equal-mass bins with the percentile interval of a bootstrap over photos, widened to hold the value.

    Few photos make both too high: chance alone moves a bin's accuracy off its confidence.
    """
    value = expected_calibration_error(reliability_bins(confidence_N, correct_N)) or 0.0
    order = np.argsort(confidence_N, kind="stable")
    rng, num = np.random.default_rng(seed), len(confidence_N)
    found: list[NDArray[np.float64]] = []
    for start in range(0, num_bootstrap, _CHUNK):
        rows = min(_CHUNK, num_bootstrap - start)
        drawn_RN = order[np.sort(rng.integers(0, num, (rows, num)), axis=1)]
        found.append(errors_of_sorted(confidence_N[drawn_RN] - correct_N[drawn_RN]))
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975]) if found else (value, value)
    return Estimate(value=value, interval=(min(float(low), value), max(float(high), value)))


def error_by_chance(
    confidence_N: NDArray[np.float64], *, seed: int = 0, num_replicates: int = NUM_BOOTSTRAP
) -> float:
    """The 95% quantile of ECE of a perfectly calibrated model with these confidences (Bröcker & Smith, 2007)."""
    sorted_N = np.sort(confidence_N)
    rng = np.random.default_rng(seed)
    found = [
        errors_of_sorted(sorted_N[None] - (rng.random((1, len(sorted_N))) < sorted_N))
        for _ in range(num_replicates)
    ]
    return float(np.quantile(np.concatenate(found), 0.95)) if found else 0.0


def set_outcomes(
    probabilities_NC: NDArray[np.float64], labels_N: NDArray[np.int64], rule: SetRule
) -> SetOutcomes:
    """Judge one rule's sets on labelled photos."""
    covered, size = [], []
    for alpha in REPORTED_ALPHAS:
        inside_NC = rule.members(probabilities_NC, 1 - alpha)
        covered.append(inside_NC[np.arange(len(labels_N)), labels_N])
        size.append(inside_NC.sum(axis=1))
    return SetOutcomes(np.stack(covered), np.stack(size))


def set_reports(
    outcomes: SetOutcomes,
    rules: Sequence[SetRule],
    labels_N: NDArray[np.int64],
    groups: Sequence[Group],
    *,
    seed: int = 0,
) -> tuple[SetReport, ...]:
    """Coverage and size of the outcomes by group, one report an alpha.

    ``rules`` made the outcomes, one of them each photo (those of a cross-validation have one a fold).
    """
    tables = [rule.table for rule in rules]
    return tuple(
        SetReport(
            score=tables[0].score,
            alpha=alpha,
            num_calibration_images=min(table.num_images for table in tables),
            everything=all(table.quantile(1 - alpha) is None for table in tables),
            groups=tuple(
                _set_group(scope, covered_N[member_N], size_N[member_N], labels_N[member_N], seed)
                for scope, member_N in scopes(groups, labels_N).items()
            ),
        )
        for alpha, covered_N, size_N in zip(
            REPORTED_ALPHAS, outcomes.covered_AN, outcomes.size_AN, strict=True
        )
    )


def _set_group(
    scope: Scope,
    covered_N: NDArray[np.bool_],
    size_N: NDArray[np.int64],
    labels_N: NDArray[np.int64],
    seed: int,
) -> SetGroup:
    num, mean = len(size_N), float(size_N.mean())
    half = float(Z_95 * size_N.std(ddof=1) / np.sqrt(num)) if num > 1 else 0.0
    return SetGroup(
        group=scope,
        num_images=num,
        coverage=_proportion(covered_N),
        macro_coverage=_macro_coverage(covered_N, labels_N, seed),
        mean_size=mean,
        mean_size_interval=(max(mean - half, 1.0), mean + half),
    )


def _macro_coverage(covered_N: NDArray[np.bool_], labels_N: NDArray[np.int64], seed: int) -> Estimate:
    """Mean coverage over species, and the wider of a bootstrap within species and Wilson's over the photos."""
    _, place_N, support_C = np.unique(labels_N, return_inverse=True, return_counts=True)
    share_C = np.bincount(place_N, weights=covered_N) / support_C
    rng = np.random.default_rng(seed)
    drawn_R = (rng.binomial(support_C, share_C, (NUM_BOOTSTRAP, len(share_C))) / support_C).mean(axis=1)
    low, high = np.quantile(drawn_R, [0.025, 0.975])
    lowest, highest = wilson(int(covered_N.sum()), len(covered_N))
    return Estimate(
        value=float(share_C.mean()), interval=(min(float(low), lowest), max(float(high), highest))
    )


def roll_up_reports(
    probabilities_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    taxa: Sequence[Taxon],
    groups: Sequence[Group],
) -> tuple[RollUpReport, ...]:
    """What the decision rule of the service answers at each of ``RELIABILITIES``, and how often it is right."""
    rule = RollUp(taxa)
    reports = []
    for reliability in RELIABILITIES:
        decisions = [rule.decide(probabilities_C, reliability) for probabilities_C in probabilities_NC]
        kind_N = np.array([decision.kind for decision in decisions])
        right_N = np.array(
            [is_right(decision, taxa[label]) for decision, label in zip(decisions, labels_N, strict=True)]
        )
        reports.append(
            RollUpReport(
                reliability=reliability,
                groups=tuple(
                    _roll_up_group(scope, kind_N[member_N], right_N[member_N])
                    for scope, member_N in scopes(groups, labels_N).items()
                ),
            )
        )
    return tuple(reports)


def is_right(decision: Decision, truth: Taxon) -> bool:
    """Whether a decision names the true label, or at its rank the true label's own ancestor.

    >>> alba = Taxon(label="Alba", scientific_name="Alba", taxon_rank="genus", genus="Alba")
    >>> is_right(Decision("genus", alba, 0.9, ""), Taxon(label="a1", genus="Alba"))
    True
    """
    if decision.taxon is None:
        return False
    if decision.taxon.label == truth.label:
        return True
    if decision.kind == "genus" or decision.kind == "family":
        return decision.taxon.display_name == truth.ancestor(decision.kind)
    return False


def _roll_up_group(scope: Scope, kind_N: NDArray[np.str_], right_N: NDArray[np.bool_]) -> RollUpGroup:
    return RollUpGroup(
        group=scope,
        num_images=len(kind_N),
        ranks=tuple(
            RankAnswers(
                kind=kind,
                num_images=int((kind_N == kind).sum()),
                share=float((kind_N == kind).mean()),
                accuracy=_answered(right_N[kind_N == kind]) if kind != "unknown" else None,
            )
            for kind in ("species", "genus", "family", "unknown")
        ),
        accuracy=_answered(right_N[kind_N != "unknown"]),
    )


def _answered(right_N: NDArray[np.bool_]) -> Estimate | None:
    return _proportion(right_N) if len(right_N) else None


def _proportion(hit_N: NDArray[np.bool_]) -> Estimate:
    return Estimate(value=float(hit_N.mean()), interval=wilson(int(hit_N.sum()), len(hit_N)))
