"""Predictions -> metrics by group and by species, with intervals: the one definition of every figure.

N test images, C classes, R bootstrap replicates, M sets of classes. Pure numpy; no files.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.evaluation import (
    ConfusionPair,
    Estimate,
    Evaluation,
    GroupMetrics,
    Interval,
    ReliabilityBin,
    SpeciesMetrics,
)
from models.groups import GROUPS, Group
from models.tally import Tally, confused_pairs, mean_scores_of_replicates

__all__ = [
    "ConfusionPair",
    "Estimate",
    "Evaluation",
    "GroupMetrics",
    "ReliabilityBin",
    "SpeciesMetrics",
    "evaluate",
    "evaluate_predictions",
    "expected_calibration_error",
    "reliability_bins",
    "wilson",
]

Z_95 = 1.959963984540054
NUM_BINS = 15
NUM_BOOTSTRAP = 1000


def wilson(successes: int, trials: int) -> Interval:
    """95% Wilson score interval of a proportion (Wilson, 1927).

    >>> [round(bound, 3) for bound in wilson(10, 11)]
    [0.623, 0.984]
    """
    if trials == 0:
        return (0.0, 1.0)
    p, n, z2 = successes / trials, trials, Z_95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return (float(low), float(high))


def reliability_bins(
    confidence_N: NDArray[np.float64], correct_N: NDArray[np.bool_], num_bins: int = NUM_BINS
) -> tuple[ReliabilityBin, ...]:
    """Equal-mass bins by confidence (Nguyen & O'Connor, 2015); fewer for fewer images than bins."""
    if len(confidence_N) == 0:
        return ()
    order = np.argsort(confidence_N, kind="stable")
    return tuple(
        ReliabilityBin(
            confidence=float(confidence_N[part].mean()),
            accuracy=float(correct_N[part].mean()),
            num_images=len(part),
        )
        for part in np.array_split(order, min(num_bins, len(order)))
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float | None:
    """Mean |confidence - accuracy| over bins, weighted by images. None for no images.

    >>> expected_calibration_error([ReliabilityBin(confidence=0.9, accuracy=0.7, num_images=5)])
    0.2
    """
    total = sum(part.num_images for part in bins)
    if total == 0:
        return None
    return round(sum(part.num_images * abs(part.confidence - part.accuracy) for part in bins) / total, 12)


def evaluate(
    probabilities_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    *,
    class_labels: Sequence[str],
    training_counts: Sequence[int],
    groups: Sequence[Group],
    split: str,
    data_sha256: str,
    seed: int = 0,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Evaluate calibrated probabilities: the likeliest class and its confidence. Raises ValueError for no images."""
    if len(labels_N) == 0:
        raise ValueError(f"split {split!r} has no images to evaluate on")
    return evaluate_predictions(
        probabilities_NC.argmax(axis=1),
        probabilities_NC.max(axis=1),
        labels_N,
        class_labels=class_labels,
        training_counts=training_counts,
        groups=groups,
        split=split,
        data_sha256=data_sha256,
        seed=seed,
        notes=notes,
    )


def evaluate_predictions(
    predicted_N: NDArray[np.int64],
    confidence_N: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    *,
    class_labels: Sequence[str],
    training_counts: Sequence[int],
    groups: Sequence[Group],
    split: str,
    data_sha256: str,
    seed: int = 0,
    num_bootstrap: int = NUM_BOOTSTRAP,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Evaluate named classes and their calibrated confidence against labels.

    Group intervals of recall and precision are the wider of a percentile bootstrap over images within species
    (seeded) and Wilson's over the group's images: with an image or two a species, or none wrong, a bootstrap
    alone has next to no width. Accuracy and species have Wilson intervals. ``num_bootstrap`` replicates; with 0,
    which takes milliseconds, only Wilson's part is there and F1 has no width. Raises ValueError for no images.
    """
    if len(labels_N) == 0:
        raise ValueError(f"split {split!r} has no images to evaluate on")
    num_classes = len(class_labels)
    correct_N = predicted_N == labels_N
    tally = Tally.of(labels_N, predicted_N, num_classes)
    group_C = np.array(groups)
    members = {"all": np.ones(num_classes, dtype=bool)} | {group: group_C == group for group in GROUPS}
    replicates = mean_scores_of_replicates(
        labels_N, predicted_N, np.stack(list(members.values())), seed=seed, num=num_bootstrap
    )
    drawn = {
        name: {score: means_RM[:, place] for score, means_RM in replicates.items()}
        for place, name in enumerate(members)
    }
    bins = {
        name: reliability_bins(confidence_N[member[labels_N]], correct_N[member[labels_N]])
        for name, member in members.items()
    }
    scores, support_C = tally.scores(), tally.support_C
    pairs = confused_pairs(labels_N, predicted_N, num_classes)
    return Evaluation(
        split=split,
        data_sha256=data_sha256,
        num_test_images=len(labels_N),
        num_species_tested=int((support_C > 0).sum()),
        accuracy=Estimate(
            value=float(correct_N.mean()), interval=wilson(int(correct_N.sum()), len(labels_N))
        ),
        macro_recall=_widened(
            _estimate(scores["recall"], drawn["all"]["recall"], support_C > 0), tally.hits_C, support_C
        ),
        macro_f1=float(np.nanmean(scores["f1"])),
        weighted_f1=float(np.nansum(scores["f1"] * support_C) / support_C.sum()),
        ece=expected_calibration_error(bins["all"]) or 0.0,
        groups=tuple(
            _group_metrics(group, members[group], tally, drawn[group], bins[group]) for group in GROUPS
        ),
        species=_species_metrics(tally, pairs, class_labels, training_counts, groups),
        confusions=_confusions(pairs, class_labels),
        reliability=bins,
        notes=notes,
    )


def _estimate(
    values_C: NDArray[np.float64], means_R: NDArray[np.float64], member_C: NDArray[np.bool_]
) -> Estimate:
    value = float(values_C[member_C].mean())
    if len(means_R) == 0:
        return Estimate(value=value, interval=(value, value))
    low, high = np.quantile(means_R, [0.025, 0.975])
    return Estimate(value=value, interval=(float(low), float(high)))


def _widened(estimate: Estimate, hits_C: NDArray[np.int64], trials_C: NDArray[np.int64]) -> Estimate:
    """The estimate with an interval at least as wide as Wilson's of the pooled images."""
    low, high = wilson(int(hits_C.sum()), int(trials_C.sum()))
    lowest, highest = estimate.interval
    return Estimate(value=estimate.value, interval=(min(low, lowest), max(high, highest)))


def _group_metrics(
    group: Group,
    member_C: NDArray[np.bool_],
    tally: Tally,
    drawn: Mapping[str, NDArray[np.float64]],
    bins: Sequence[ReliabilityBin],
) -> GroupMetrics:
    tested_C = member_C & (tally.support_C > 0)
    estimates = {
        name: _estimate(score_C, drawn[name], tested_C) if tested_C.any() else None
        for name, score_C in tally.scores().items()
    }
    for name, trials_C in (("recall", tally.support_C), ("precision", tally.predicted_C)):
        found = estimates[name]
        if found is not None:
            estimates[name] = _widened(found, tally.hits_C[tested_C], trials_C[tested_C])
    return GroupMetrics(
        group=group,
        num_species=int(member_C.sum()),
        num_species_tested=int(tested_C.sum()),
        num_test_images=int(tally.support_C[member_C].sum()),
        recall=estimates["recall"],
        precision=estimates["precision"],
        f1=estimates["f1"],
        ece=expected_calibration_error(bins),
    )


def _species_metrics(
    tally: Tally,
    pairs: Sequence[tuple[int, int, int]],
    class_labels: Sequence[str],
    training_counts: Sequence[int],
    groups: Sequence[Group],
) -> tuple[SpeciesMetrics, ...]:
    exchanged = _exchanged(pairs)
    return tuple(
        SpeciesMetrics(
            label=label,
            group=groups[index],
            training_count=training_counts[index],
            num_test_images=images,
            num_predicted=named,
            recall=_proportion(hits, images),
            precision=_proportion(hits, named),
            confused_with=tuple(class_labels[other] for other in exchanged.get(index, ())),
        )
        for index, (label, hits, images, named) in enumerate(
            zip(class_labels, *(counts_C.tolist() for counts_C in tally), strict=True)
        )
    )


def _proportion(successes: int, trials: int) -> Estimate | None:
    return Estimate(value=successes / trials, interval=wilson(successes, trials)) if trials else None


def _exchanged(pairs: Sequence[tuple[int, int, int]], most: int = 3) -> dict[int, list[int]]:
    """The classes that each was exchanged with, in either direction, most often first."""
    counts: dict[int, Counter[int]] = {}
    for true, predicted, num_images in pairs:
        counts.setdefault(true, Counter())[predicted] += num_images
        counts.setdefault(predicted, Counter())[true] += num_images
    return {
        index: sorted(others, key=lambda other: (-others[other], other))[:most]
        for index, others in counts.items()
    }


def _confusions(
    pairs: Sequence[tuple[int, int, int]], class_labels: Sequence[str]
) -> tuple[ConfusionPair, ...]:
    found = [
        ConfusionPair(true=class_labels[true], predicted=class_labels[predicted], num_images=num_images)
        for true, predicted, num_images in pairs
    ]
    return tuple(sorted(found, key=lambda pair: (-pair.num_images, pair.true, pair.predicted)))
