"""Identities of constructed tails: published totals, and sets that lie within each other."""

from collections import Counter

from training.data.imbalance import Profile, cut_test_to_profile, cut_to_profile, profile_counts
from training.data.index import Sample
from training.identities.check import Checks

PROFILES: tuple[Profile, ...] = ("exponential", "step", "pareto")
FACTORS = (10, 50, 100, 200)
CHECKS = Checks()


def photos(num_classes: int = 12, each: int = 60) -> list[Sample]:
    """As many photos of each class, twenty of them to test on, three nights."""
    return [
        Sample(f"{c}/{k}", f"s{c:02d}", c * each + k, "test" if k < 20 else "train", session=f"{k % 3}")
        for c in range(num_classes)
        for k in range(each)
    ]


def trained(profile: Profile, factor: float, *, seed: int = 0) -> frozenset[int]:
    """Rows that are trained on."""
    cut = cut_to_profile(photos(), profile=profile, max_count=40, factor=factor, val_fraction=0.2, seed=seed)
    return frozenset(sample.row for sample in cut if sample.split == "train")


def judged(profile: Profile, factor: float, *, seed: int = 0) -> frozenset[int]:
    """Rows that are tested on."""
    cut = cut_test_to_profile(photos(), profile=profile, max_count=20, factor=factor, seed=seed)
    return frozenset(sample.row for sample in cut if sample.split == "test")


def _totals(num_classes: int, max_count: int) -> tuple[int, ...]:
    return tuple(
        sum(profile_counts("exponential", num_classes=num_classes, max_count=max_count, factor=factor))
        for factor in FACTORS
    )


@CHECKS.add(
    "constructed tails", "CIFAR-10-LT has 20431, 13996, 12406, 11203 images at factors of 10, 50, 100, 200"
)
def _cifar_10() -> bool:
    return _totals(10, 5000) == (20431, 13996, 12406, 11203)


@CHECKS.add(
    "constructed tails", "CIFAR-100-LT has 19573, 12608, 10847, 9502 images at factors of 10, 50, 100, 200"
)
def _cifar_100() -> bool:
    return _totals(100, 500) == (19573, 12608, 10847, 9502)


@CHECKS.add("constructed tails", "every profile falls from the greatest count to that count over the factor")
def _ends() -> bool:
    for profile in PROFILES:
        counts = profile_counts(profile, num_classes=30, max_count=400, factor=40)
        if counts != sorted(counts, reverse=True) or (counts[0], counts[-1]) != (400, 10):
            return False
    step = Counter(profile_counts("step", num_classes=30, max_count=400, factor=40))
    return step == {400: 15, 10: 15}


@CHECKS.add("constructed tails", "a longer tail lies within a shorter one, of training and of test photos")
def _nested() -> bool:
    return all(
        cut(profile, 20) < cut(profile, 5) < cut(profile, 1)
        for profile in PROFILES
        for cut in (trained, judged)
    )


@CHECKS.add("constructed tails", "the seed alone says which photos are kept")
def _seeded() -> bool:
    return all(
        cut(profile, 10) == cut(profile, 10) != cut(profile, 10, seed=1)
        for profile in PROFILES
        for cut in (trained, judged)
    )
