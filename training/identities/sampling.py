"""Identities of the samplers: which class is shown how often, and that an order is a matter of the seed alone."""

import numpy as np
from numpy.typing import NDArray

from training.choices import Sampling
from training.data.sampler import class_shares, draw_by_class, epoch_order
from training.identities.check import Checks

COUNTS = (400, 90, 20, 5)
CLASSES = [label for label, count in enumerate(COUNTS) for _ in range(count)]
EPOCHS = 20
CHECKS = Checks()


def order(sampling: Sampling, *, seed: int = 0, epoch: int = EPOCHS - 1) -> list[int]:
    """An epoch's draws over photos with the counts above."""
    return epoch_order(sampling, CLASSES, len(COUNTS), seed=seed, epoch=epoch, epochs=EPOCHS)


def drawn(draws: list[int]) -> NDArray[np.int64]:
    """How often each class was drawn."""
    photos = np.array(draws) % len(CLASSES)
    return np.bincount(np.array(CLASSES)[photos], minlength=len(COUNTS))


def within_bounds(counts_C: NDArray[np.int64], shares_C: NDArray[np.float64]) -> bool:
    """Whether counts lie within five standard deviations of a binomial of these shares."""
    total = counts_C.sum()
    deviations = np.sqrt(total * shares_C * (1 - shares_C))
    return bool((np.abs(counts_C - total * shares_C) <= 5 * deviations).all())


def shows(sampling: Sampling, shares: NDArray[np.float64]) -> bool:
    """Whether ten last epochs show the classes with these shares."""
    counts_C = sum((drawn(order(sampling, seed=seed)) for seed in range(10)), np.zeros(len(COUNTS), np.int64))
    return within_bounds(counts_C, shares / shares.sum())


@CHECKS.add("instance sampling", "every image is shown once")
def _once() -> bool:
    return sorted(order(Sampling())) == list(range(len(CLASSES)))


@CHECKS.add("class-balanced sampling", "classes are shown alike, within binomial bounds")
def _alike() -> bool:
    return shows(Sampling(name="class_balanced"), np.ones(len(COUNTS)))


@CHECKS.add("square-root sampling", "classes are shown as the root of their images, within binomial bounds")
def _as_roots() -> bool:
    return shows(Sampling(name="square_root"), np.sqrt(COUNTS))


@CHECKS.add("progressive sampling", "it begins as instance and ends as class-balanced sampling")
def _ends() -> bool:
    progressive = Sampling(name="progressive")
    return order(progressive, epoch=0) == order(Sampling(), epoch=0) and order(progressive) == order(
        Sampling(name="class_balanced")
    )


@CHECKS.add("progressive sampling", "shares move by the same step in every epoch")
def _linear() -> bool:
    shares = [
        class_shares(Sampling(name="progressive"), COUNTS, epoch=epoch, epochs=EPOCHS)
        for epoch in range(EPOCHS)
    ]
    return bool(np.abs(np.diff(shares, n=2, axis=0)).max() < 1e-12)


@CHECKS.add("over-sampling", "rare classes are raised to the target, the others keep their proportions")
def _raised() -> bool:
    return shows(Sampling(name="resampled", at_least=50), np.maximum(COUNTS, 50.0))


@CHECKS.add("under-sampling", "frequent classes are lowered to the target")
def _lowered() -> bool:
    return shows(Sampling(name="resampled", at_most=50), np.minimum(COUNTS, 50.0))


@CHECKS.add("deferred re-sampling", "it is instance sampling before the switch and balanced from it on")
def _deferred() -> bool:
    deferred, balanced = Sampling(name="class_balanced", after=0.8), Sampling(name="class_balanced")
    before = all(order(deferred, epoch=epoch) == order(Sampling(), epoch=epoch) for epoch in (0, 15))
    return before and all(
        order(deferred, epoch=epoch) == order(balanced, epoch=epoch) for epoch in (16, EPOCHS - 1)
    )


@CHECKS.add("every sampler", "an epoch is as many draws as there are images")
def _budget() -> bool:
    names = ("instance", "class_balanced", "square_root", "progressive", "resampled")
    return all(len(order(Sampling(name=name, at_least=50))) == len(CLASSES) for name in names)


@CHECKS.add("every sampler", "one seed and epoch, one order; another epoch, another order")
def _seeded() -> bool:
    balanced = Sampling(name="class_balanced")
    return order(balanced) == order(balanced) != order(balanced, epoch=0)


@CHECKS.add("every sampler", "within a class no image is shown a second time before all were shown once")
def _in_turn() -> bool:
    draws = draw_by_class(CLASSES, np.full(len(COUNTS), 1 / len(COUNTS)), 400, seed=0)
    seen = np.bincount(np.array(draws) % len(CLASSES), minlength=len(CLASSES))
    return len(set(draws)) == len(draws) and all(
        np.ptp(seen[np.array(CLASSES) == label]) <= 1 for label in range(len(COUNTS))
    )
