"""The batches of an epoch: photos in the sampler's order, and beside some of them foregrounds drawn for the tail."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from training.choices import Mixing
from training.config import RunConfig
from training.data.dataset import TrainingViews, training_loader, view_seed
from training.data.resident import ResidentViews
from training.data.resident_crops import ResidentCrops
from training.data.sampler import draw_by_class, epoch_order

_PASTING, _FOREGROUNDS = 2**31 + 4, 2**31 + 5
_OTHER_VIEWS = 2**20
"""Repetitions of foregrounds count from here, so that no photo is pasted over its own view."""

_SECOND_VIEWS = 2**21
"""Repetitions of second views count from here: each is another view than any first one."""

Views = TrainingViews | ResidentViews | ResidentCrops


class Batch(NamedTuple):
    """uint8 images [B, 3, H, W], classes [B] and, where patches are to be pasted, as many foregrounds.

    ``draws`` says which photos they are, as the sampler numbers them. ``second``: where photos are compared with
    themselves, another view of each and its class again.
    """

    images_BCHW: Tensor
    labels_B: Tensor
    foreground: tuple[Tensor, Tensor] | None
    draws: tuple[int, ...]
    second: tuple[Tensor, Tensor] | None = None


class Share(NamedTuple):
    """Which process of how many this one is: each takes every ``of``-th image of a batch, from ``rank`` on."""

    rank: int = 0
    of: int = 1


ALONE = Share()


def epoch_batches(
    views: Views, config: RunConfig, num_classes: int, epoch: int, share: Share = ALONE
) -> Iterator[Batch]:
    """All batches of an epoch (from 0), a function of (seed, epoch) at any number of workers."""
    order = epoch_order(
        config.sampling,
        views.classes,
        num_classes,
        seed=config.seed,
        epoch=epoch,
        epochs=config.optimisation.epochs,
    )
    drawn = cut_to_batches(order, config.optimisation.batch_size, share)
    pasted = pasted_steps(config, len(drawn), epoch)
    wanted = int(pasted.sum()) * config.optimisation.batch_size
    draws = foreground_draws(
        views.classes, num_classes, wanted, seed=view_seed(config.seed, epoch, _FOREGROUNDS)
    )
    patches = cut_to_batches(draws, config.optimisation.batch_size, share)
    foregrounds = iter(_load(views, patches, config, share, stream=1))
    seconds = _second_views(views, drawn, config, share)
    for paste, drawn_B, (images_BCHW, labels_B), second in zip(
        pasted, drawn, _load(views, drawn, config, share), seconds, strict=True
    ):
        foreground = None
        if paste:
            patches_BCHW, classes_B = next(foregrounds)
            foreground = (patches_BCHW[: len(labels_B)], classes_B[: len(labels_B)])
        yield Batch(images_BCHW, labels_B, foreground, tuple(drawn_B), second)


def cut_to_batches(order: Sequence[int], batch_size: int, share: Share = ALONE) -> list[list[int]]:
    """An order in batches of ``batch_size``, and of each this process's share. All processes get equally many images.

    A last batch of one image would break batch normalisation, and one that is smaller than the number of processes
    cannot be shared: it is left out.

    >>> cut_to_batches(range(7), 3), cut_to_batches(range(8), 4, Share(rank=1, of=2))
    ([[0, 1, 2], [3, 4, 5]], [[1, 3], [5, 7]])
    """
    batches = []
    for begin in range(0, len(order), batch_size):
        batch = order[begin : begin + batch_size]
        even = len(batch) - len(batch) % share.of
        if even and len(batch) > 1:
            batches.append(list(batch[:even][share.rank :: share.of]))
    return batches


def _load(
    views: Views, batches: list[list[int]], config: RunConfig, share: Share, stream: int = 0
) -> Iterable[tuple[Tensor, Tensor]]:
    if isinstance(views, ResidentViews):
        return views.batches(batches, stream, share.rank, share.of)
    if isinstance(views, ResidentCrops):
        return views.batches(batches)
    return training_loader(views, batches, config) if batches else ()


def _second_views(
    views: Views, drawn: list[list[int]], config: RunConfig, share: Share
) -> Iterable[tuple[Tensor, Tensor] | None]:
    """Another view of each draw, batch by batch, where a run contrasts two; elsewhere None each time."""
    if config.contrastive.name == "none":
        return repeat(None, len(drawn))
    others = [[draw + _SECOND_VIEWS * len(views) for draw in batch] for batch in drawn]
    return _load(views, others, config, share, stream=2)


def pasted_steps(config: RunConfig, num_steps: int, epoch: int) -> NDArray[np.bool_]:
    """Which steps of an epoch (from 0) get foregrounds: none in the first and last ``cmo_rest_epochs``."""
    rng = np.random.default_rng(view_seed(config.seed, epoch, _PASTING))
    chance = config.mixing.cmo if _pastes(config.mixing, epoch, config.optimisation.epochs) else 0.0
    steps: NDArray[np.bool_] = rng.random(num_steps) < chance
    return steps


def _pastes(mixing: Mixing, epoch: int, epochs: int) -> bool:
    return mixing.cmo_rest_epochs <= epoch < epochs - mixing.cmo_rest_epochs


def foreground_draws(classes: Sequence[int], num_classes: int, num_draws: int, *, seed: int) -> list[int]:
    """Photos whose class is drawn as 1 / n_i (Park et al., 2022, r = 1)."""
    counts_C = np.bincount(classes, minlength=num_classes)
    shares_C = np.where(counts_C > 0, 1 / np.maximum(counts_C, 1), 0.0)
    return draw_by_class(classes, shares_C / shares_C.sum(), num_draws, seed=seed, first_round=_OTHER_VIEWS)
