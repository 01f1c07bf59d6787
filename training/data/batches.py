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
from training.data.sampler import draw_by_class, epoch_order

_PASTING, _FOREGROUNDS = 2**31 + 4, 2**31 + 5
_OTHER_VIEWS = 2**20
"""Repetitions of foregrounds count from here, so that no photo is pasted over its own view."""

_SECOND_VIEWS = 2**21
"""Repetitions of second views count from here: each is another view than any first one."""


class Batch(NamedTuple):
    """uint8 images [B, 3, H, W], classes [B] and, where patches are to be pasted, as many foregrounds.

    ``second``: where photos are compared with themselves, another view of each and its class again.
    """

    images_BCHW: Tensor
    labels_B: Tensor
    foreground: tuple[Tensor, Tensor] | None
    second: tuple[Tensor, Tensor] | None = None


def epoch_batches(views: TrainingViews, config: RunConfig, num_classes: int, epoch: int) -> Iterator[Batch]:
    """All batches of an epoch (from 0), a function of (seed, epoch) at any number of workers."""
    order = epoch_order(
        config.sampling,
        views.classes,
        num_classes,
        seed=config.seed,
        epoch=epoch,
        epochs=config.optimisation.epochs,
    )
    loader = training_loader(views, order, config)
    pasted = pasted_steps(config, len(loader), epoch)
    wanted = int(pasted.sum()) * config.optimisation.batch_size
    draws = foreground_draws(
        views.classes, num_classes, wanted, seed=view_seed(config.seed, epoch, _FOREGROUNDS)
    )
    foregrounds: Iterator[tuple[Tensor, Tensor]] = iter(
        training_loader(views, draws, config) if wanted else ()
    )
    seconds = second_views(views, order, config, len(loader))
    for paste, (images_BCHW, labels_B), second in zip(pasted, loader, seconds, strict=True):
        foreground = None
        if paste:
            patches_BCHW, classes_B = next(foregrounds)
            foreground = (patches_BCHW[: len(labels_B)], classes_B[: len(labels_B)])
        yield Batch(images_BCHW, labels_B, foreground, second)


def second_views(
    views: TrainingViews, order: Sequence[int], config: RunConfig, num_batches: int
) -> Iterable[tuple[Tensor, Tensor] | None]:
    """Another view of each draw of an order, batch by batch, where a run contrasts two; elsewhere None each time."""
    if config.contrastive.name == "none":
        return repeat(None, num_batches)
    return training_loader(views, [draw + _SECOND_VIEWS * len(views) for draw in order], config)


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
