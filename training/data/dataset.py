"""Batches of pixels and labels. Training views depend on (seed, epoch, photo) alone, at any number of workers."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.config import RunConfig
from training.data.augment import make_augmentation
from training.data.cache import PhotoCache
from training.hardware import loader_workers


class TrainingViews(Dataset[tuple[Tensor, int]]):
    """Random views of cached photos. Set ``epoch`` before each pass.

    Item ``photo + r * len(self)`` is the photo's r-th repetition: another view of it.
    """

    def __init__(
        self, cache: PhotoCache, places: Sequence[int], classes: Sequence[int], config: RunConfig
    ) -> None:
        self._cache, self._places = cache, places
        self.classes = classes
        self._augment = make_augmentation(config.augment, config.crop_size_px)
        self._seed = config.seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, item: int) -> tuple[Tensor, int]:
        photo, rng = draws_of(item, self._places, self._seed, self.epoch)
        return self._augment(self._cache[self._places[photo]], rng), self.classes[photo]


def draws_of(item: int, places: Sequence[int], seed: int, epoch: int) -> tuple[int, np.random.Generator]:
    """Which photo an item of an epoch is, and what its view is drawn from."""
    repetition, photo = divmod(item, len(places))
    return photo, np.random.default_rng(view_seed(seed, epoch, places[photo], repetition))


def view_seed(seed: int, epoch: int, place: int, repetition: int = 0) -> int:
    """A 63-bit seed from these numbers; near inputs give unrelated seeds."""
    numbers = (seed, epoch, place, repetition) if repetition else (seed, epoch, place)
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


class Photos(Protocol):
    """Photos of one size by their place, such as a cache of them."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> NDArray[np.uint8]:
        """uint8 [H, W, 3]."""


class EvaluationViews(Dataset[Tensor]):
    """Photos as serving would see them: uint8 [size_px, size_px, 3]."""

    def __init__(self, cache: Photos, places: Sequence[int]) -> None:
        self._cache, self._places = cache, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, item: int) -> Tensor:
        return torch.from_numpy(np.array(self._cache[self._places[item]]))


def training_loader(
    views: TrainingViews, batches: Sequence[Sequence[int]], config: RunConfig
) -> DataLoader[tuple[Tensor, int]]:
    """These batches of views, in order."""
    workers = loader_workers(config.workers)
    return DataLoader(
        views,
        batch_sampler=batches,  # type: ignore[arg-type]  # torch accepts any iterable of lists
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
        prefetch_factor=4 if workers else None,
    )
