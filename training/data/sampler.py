"""The order in which an epoch visits the training photos. Seeded by (seed, epoch), whatever the workers do.

An order is a list of draws. Draw ``photo + r * num_photos`` is the photo's r-th repetition (from 0) in this epoch,
which gets another random view than the first. An epoch is always N draws, so that samplers compare at equal cost.
Legend: C classes, N photos.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from training.choices import Sampling
from training.data.dataset import view_seed
from training.schedule import switch_epoch

_ORDER = 2**31  # keeps an epoch's order apart from the views of its photos


def instance_order(num_samples: int, *, seed: int, epoch: int) -> list[int]:
    """Every photo once, shuffled: instance-balanced sampling.

    >>> sorted(instance_order(4, seed=0, epoch=1))
    [0, 1, 2, 3]
    """
    generator = torch.Generator().manual_seed(view_seed(seed, epoch, _ORDER))
    return torch.randperm(num_samples, generator=generator).tolist()


def class_shares(
    sampling: Sampling, counts_C: Sequence[int] | NDArray[np.int64], *, epoch: int, epochs: int
) -> NDArray[np.float64]:
    """How often each class is drawn in an epoch (from 0) of ``epochs``: [C], of sum 1. Empty classes are never drawn.

    Class-balanced, square-root and progressive sampling as Kang et al. (2020, eq. 1 and 2) give them, the last from
    instance-balanced in the first epoch to class-balanced in the last.

    >>> class_shares(Sampling(name="square_root"), [9, 1], epoch=0, epochs=1).tolist()
    [0.75, 0.25]
    """
    counts = np.asarray(counts_C, dtype=np.float64)
    instance: NDArray[np.float64] = counts / counts.sum()
    balanced: NDArray[np.float64] = (counts > 0) / np.count_nonzero(counts)
    if sampling.name == "instance" or epoch < switch_epoch(sampling.after, epochs):
        return instance
    if sampling.name == "class_balanced":
        return balanced
    if sampling.name == "progressive":
        progress = epoch / max(epochs - 1, 1)
        return np.average([instance, balanced], axis=0, weights=[1 - progress, progress])
    wanted = np.sqrt(counts) if sampling.name == "square_root" else _resampled(sampling, counts)
    shares: NDArray[np.float64] = wanted / wanted.sum()
    return shares


def _resampled(sampling: Sampling, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Images that each class is raised or lowered to; the photos of a lowered class are others in each epoch."""
    wanted = np.clip(counts, sampling.at_least, sampling.at_most or counts.max())
    return np.where(counts > 0, wanted, 0.0)


def epoch_order(
    sampling: Sampling, classes: Sequence[int], num_classes: int, *, seed: int, epoch: int, epochs: int
) -> list[int]:
    """The N draws of an epoch (from 0) for photos of these classes. Instance sampling draws every photo once."""
    counts_C = np.bincount(classes, minlength=num_classes)
    shares_C = class_shares(sampling, counts_C, epoch=epoch, epochs=epochs)
    if np.array_equal(shares_C, counts_C / counts_C.sum()):
        return instance_order(len(classes), seed=seed, epoch=epoch)
    return draw_by_class(classes, shares_C, len(classes), seed=view_seed(seed, epoch, _ORDER))


def draw_by_class(
    classes: Sequence[int],
    shares_C: NDArray[np.float64],
    num_draws: int,
    *,
    seed: int,
    first_round: int = 0,
) -> list[int]:
    """Classes drawn independently by their shares; within a class its photos in turn, shuffled for each round.

    A photo's repetitions count from ``first_round``.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(shares_C), size=num_draws, p=shares_C)
    members_of, turns_of = _places_by_class(classes, len(shares_C)), _places_by_class(drawn, len(shares_C))
    order = np.empty(num_draws, dtype=np.int64)
    for photos, turns in zip(members_of, turns_of, strict=True):
        if not len(turns):
            continue
        rounds = -(-len(turns) // len(photos))
        repeated = [rng.permutation(photos) + (first_round + turn) * len(classes) for turn in range(rounds)]
        order[turns] = np.concatenate(repeated)[: len(turns)]
    return order.tolist()


def _places_by_class(classes: Sequence[int] | NDArray[np.int64], num_classes: int) -> list[NDArray[np.intp]]:
    """Where each class stands, without a pass for each."""
    places = np.argsort(classes, kind="stable")
    starts = np.searchsorted(np.asarray(classes)[places], np.arange(1, num_classes))
    return np.split(places, starts)
