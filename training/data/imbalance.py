"""Constructed long tails of training and test photos: how many each class keeps, and which. Pure, seeded, nested."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from training.data.index import Sample
from training.data.split import mark_leaks, shuffled_sessions

Profile = Literal["exponential", "step", "pareto"]


def profile_counts(profile: Profile, *, num_classes: int, max_count: int, factor: float) -> list[int]:
    """Images of each class from the most frequent to the rarest; ``factor`` is the first over the last.

    exponential: int(max * factor^(-i / (C - 1))) (Cui et al., 2019). step: the first half ``max``, the rest
    ``max / factor`` (Buda et al., 2018). pareto: max * (1 + i)^-a with a so that the last is max / factor.

    >>> sum(profile_counts("exponential", num_classes=10, max_count=5000, factor=100))
    12406
    >>> profile_counts("step", num_classes=4, max_count=8, factor=8)
    [8, 8, 1, 1]
    """
    if num_classes < 2 or factor < 1 or max_count < factor:
        raise ValueError(f"factor {factor} needs 1 <= factor <= max_count {max_count} and two classes")
    last = num_classes - 1
    if profile == "exponential":
        shares = [factor ** (-i / last) for i in range(num_classes)]
    elif profile == "step":
        shares = [1.0 if i < (num_classes + 1) // 2 else 1 / factor for i in range(num_classes)]
    else:
        exponent = math.log(factor) / math.log(num_classes)
        shares = [(1 + i) ** -exponent for i in range(num_classes)]
    return [max(1, int(max_count * share + 1e-9)) for share in shares]


def cut_to_profile(
    samples: Sequence[Sample],
    *,
    profile: Profile,
    max_count: int,
    factor: float,
    val_fraction: float,
    seed: int,
) -> tuple[Sample, ...]:
    """Keep a long tail of training photos; what is left out is tested on, a part of it validated on.

    Photos that come with a split of val or test keep it, and those that come as training photos and are left out
    are in no split and not in the result. The order of classes and of photos depends on the seed alone, so a
    smaller profile is a subset of a larger.
    Sessions are kept together as far as counts allow; a left-out photo whose session is trained on is marked leaky.
    Raises ValueError where a class has fewer photos than its count.
    """
    labels = sorted({sample.label for sample in samples})
    random.Random(f"{seed}/classes").shuffle(labels)
    counts = profile_counts(profile, num_classes=len(labels), max_count=max_count, factor=factor)
    by_label: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.split in ("", "train"):
            by_label[sample.label].append(sample)
    parts = {sample.row: sample.split for sample in samples if sample.split in ("val", "test")}
    for label, count in zip(labels, counts, strict=True):
        rng = random.Random(f"{seed}/{label}")
        ordered = [sample for session in shuffled_sessions(by_label[label], rng) for sample in session]
        if len(ordered) < count:
            raise ValueError(
                f"{label} has {len(ordered)} photos to train on; the profile wants {count}: choose a smaller max_count"
            )
        parts |= {sample.row: "train" for sample in ordered[:count]}
        parts |= _left_out([sample for sample in ordered[count:] if not sample.split], val_fraction)
    return mark_leaks(replace(sample, split=parts[sample.row]) for sample in samples if sample.row in parts)


def _left_out(samples: list[Sample], val_fraction: float) -> dict[int, str]:
    """The last photos of the order are validated on, so that a session beside the cut is tested, not calibrated."""
    num_val = int(len(samples) * val_fraction)
    test, val = samples[: len(samples) - num_val], samples[len(samples) - num_val :]
    return {s.row: "test" for s in test} | {s.row: "val" for s in val}


def cut_test_to_profile(
    samples: Sequence[Sample],
    *,
    profile: Profile,
    max_count: int,
    factor: float,
    from_tail: bool = False,
    seed: int,
) -> tuple[Sample, ...]:
    """Keep of the test photos a tail as well; the others are in no split and not in the result.

    The species with most training photos has ``max_count``, or with ``from_tail`` the one with fewest: the forward and
    backward tests of Zhang et al. (2022). Nested and seeded as ``cut_to_profile``.
    Raises ValueError where a species has fewer test photos than its count.
    """
    labels = sorted({sample.label for sample in samples})
    trained = dict(zip(labels, training_counts(samples, labels), strict=True))
    labels.sort(key=lambda label: trained[label] if from_tail else -trained[label])
    counts = profile_counts(profile, num_classes=len(labels), max_count=max_count, factor=factor)
    dropped: set[int] = set()
    for label, count in zip(labels, counts, strict=True):
        rows = [sample.row for sample in samples if sample.split == "test" and sample.label == label]
        if len(rows) < count:
            raise ValueError(
                f"{label} has {len(rows)} test photos; the profile wants {count}: choose a smaller test_max_count"
            )
        random.Random(f"{seed}/test/{label}").shuffle(rows)
        dropped |= set(rows[count:])
    return tuple(sample for sample in samples if sample.row not in dropped)


def training_counts(samples: Sequence[Sample], labels: Sequence[str]) -> tuple[int, ...]:
    """Training photos of each label, in the order of ``labels``.

    >>> training_counts([Sample("a.jpg", "a", 1, "train")], ["a", "b"])
    (1, 0)
    """
    counts = Counter(sample.label for sample in samples if sample.split == "train")
    return tuple(counts[label] for label in labels)
