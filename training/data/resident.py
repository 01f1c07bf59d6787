"""Photos that stay on the device, and whose views are made there, a batch at a time; here small ones of one size.

Legend: N photos, B batch, S side in pixels, P padded side.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.config import RunConfig
from training.data.cache import PhotoCache
from training.data.dataset import view_seed

_RESIDENT = 2**31 + 6  # keeps these views apart from an epoch's order


class Resident:
    """What all photos on the device have: their classes, here and there. Set ``epoch`` before each pass."""

    def __init__(self, classes: Sequence[int], device: torch.device) -> None:
        self.classes, self.epoch, self._device = classes, 0, device
        self._classes_N = torch.tensor(classes, device=device)

    def __len__(self) -> int:
        return len(self.classes)


class ResidentViews(Resident):
    """Photos shifted by up to an eighth of their side over black, and mirrored: CIFAR's augmentation (He et al., 2016).

    Views depend on (seed, epoch, place in the epoch) alone.
    """

    def __init__(
        self,
        cache: PhotoCache,
        places: Sequence[int],
        classes: Sequence[int],
        config: RunConfig,
        device: torch.device,
    ) -> None:
        side = config.size_px
        odd = next((place for place in places if cache[place].shape != (side, side, 3)), None)
        if odd is not None:
            shape = "x".join(str(size) for size in cache[odd].shape[:2])
            raise ValueError(f"augment.view=pad_crop needs photos that all have {side} px; one has {shape}")
        super().__init__(classes, device)
        self._side, self._pad, self._flip, self._seed = side, side // 8, config.augment.flip, config.seed
        photos_NSS3 = torch.from_numpy(np.stack([cache[place] for place in places])).to(device)
        margins = (0, 0, self._pad, self._pad, self._pad, self._pad)
        self._padded_NPP3 = functional.pad(photos_NSS3, margins)

    def batches(
        self, batches: Sequence[Sequence[int]], stream: int = 0, rank: int = 0, of: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """uint8 views [B, 3, S, S] and classes [B] of these draws; another ``stream`` gives other views.

        The draws are every ``of``-th of a batch, from ``rank`` on: numbers are drawn for the whole batch, so that
        several processes make the views that one would.
        """
        rng = np.random.default_rng(view_seed(self._seed, self.epoch, _RESIDENT, stream))
        for draws in batches:
            whole = len(draws) * of
            top_B, left_B = rng.integers(0, 2 * self._pad + 1, size=(2, whole))[:, rank::of]
            mirrored_B = (rng.random(whole) < (0.5 if self._flip else 0.0))[rank::of]
            photos = torch.tensor(draws, device=self._device) % len(self)
            yield self._views(photos, top_B, left_B, mirrored_B), self._classes_N[photos]

    def _views(
        self, photos_B: Tensor, top_B: np.ndarray, left_B: np.ndarray, mirrored_B: np.ndarray
    ) -> Tensor:
        along_S = np.arange(self._side)
        rows_BS = top_B[:, None] + along_S
        columns_BS = left_B[:, None] + np.where(mirrored_B[:, None], along_S[::-1], along_S)
        rows, columns = (torch.from_numpy(part).to(photos_B.device) for part in (rows_BS, columns_BS))
        views_BSS3 = self._padded_NPP3[photos_B[:, None, None], rows[:, :, None], columns[:, None, :]]
        return views_BSS3.permute(0, 3, 1, 2)
