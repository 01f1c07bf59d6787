"""Whole photos that stay on the device, and random views of them made there, a batch at a time.

The same views as a processor makes one by one (``augment.py``), but for rounding: numbers are drawn alike.
Legend: N photos, B batch, H W pixels of the largest photo, S side of a view.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.config import RunConfig
from training.data.augment import View, affine_of, change_colours, draw_view, halvings
from training.data.cache import PhotoCache
from training.data.dataset import draws_of
from training.data.resident import Resident

_SHARE = 0.25
"""Of a device's free memory that photos may take: the rest is for the network, and for runs beside this one."""


def crops_fit(cache: PhotoCache, places: Sequence[int], config: RunConfig, device: torch.device) -> bool:
    """Whether views are better made on the device: a GPU that has room for the photos, and knows every change."""
    if device.type != "cuda" or config.augment.changes_finished_views:
        return False
    free, _ = torch.cuda.mem_get_info(device)
    height, width = np.max([cache[place].shape[:2] for place in places], axis=0)
    return len(places) * int(height) * int(width) * 3 <= _SHARE * free


class ResidentCrops(Resident):
    """A view depends on (seed, epoch, photo, repetition) alone."""

    def __init__(
        self,
        cache: PhotoCache,
        places: Sequence[int],
        classes: Sequence[int],
        config: RunConfig,
        device: torch.device,
    ) -> None:
        super().__init__(classes, device)
        self._places, self._settings, self._seed = places, config.augment, config.seed
        self._side = config.crop_size_px
        self._sizes_N2 = np.array([cache[place].shape[:2] for place in places])
        height, width = self._sizes_N2.max(axis=0)
        self._photos_NHW3 = torch.zeros(len(places), height, width, 3, dtype=torch.uint8, device=device)
        for padded_HW3, place in zip(self._photos_NHW3, places, strict=True):
            # One at a time: the processor may have less room than the card.
            photo_HW3 = torch.from_numpy(np.array(cache[place]))
            padded_HW3[: photo_HW3.shape[0], : photo_HW3.shape[1]] = photo_HW3

    def batches(self, batches: Sequence[Sequence[int]]) -> Iterator[tuple[Tensor, Tensor]]:
        """uint8 views [B, 3, S, S] and classes [B] of these draws."""
        for draws in batches:
            photos = np.array(draws) % len(self)
            views = [self._drawn(draw) for draw in draws]
            at_B = torch.from_numpy(photos).to(self._device)
            yield self._made(at_B, self._sizes_N2[photos], views), self._classes_N[at_B]

    def _drawn(self, draw: int) -> View:
        photo, rng = draws_of(draw, self._places, self._seed, self.epoch)
        height, width = self._sizes_N2[photo]
        return draw_view(self._settings, int(height), int(width), rng)

    def _made(self, photos_B: Tensor, sizes_B2: np.ndarray, views: Sequence[View]) -> Tensor:
        steps_B = np.array([halvings(view, self._side) for view in views])
        theta_B23 = torch.stack(
            [affine_of(view, *size) for view, size in zip(views, sizes_B2.tolist(), strict=True)]
        )
        pixels_B3SS = torch.empty(len(views), 3, self._side, self._side, device=self._device)
        for steps in np.unique(steps_B):
            chosen = np.flatnonzero(steps_B == steps)
            at = torch.from_numpy(chosen).to(self._device)
            found_BCHW = self._photos_NHW3[photos_B[at]].permute(0, 3, 1, 2).float()
            for _ in range(int(steps)):
                found_BCHW = functional.avg_pool2d(found_BCHW, 2)
            sizes = torch.from_numpy(sizes_B2[chosen] >> int(steps))
            pixels_B3SS[at] = _sampled(found_BCHW, sizes, theta_B23[torch.from_numpy(chosen)], self._side)
        colours_B3 = torch.tensor([view.colour for view in views])
        if not bool((colours_B3 == 1).all()):
            pixels_B3SS = change_colours(pixels_B3SS, colours_B3.to(self._device))
        return pixels_B3SS.clamp_(0, 255).round_().to(torch.uint8)


def _sampled(padded_BCHW: Tensor, sizes_B2: Tensor, theta_B23: Tensor, side: int) -> Tensor:
    """As ``grid_sample`` of each photo alone, whose border goes on outside it: places are held within the photo."""
    device = padded_BCHW.device
    grid_BSS2 = functional.affine_grid(
        theta_B23.to(device), [len(theta_B23), 3, side, side], align_corners=False
    )
    size_B2 = sizes_B2.flip(1).to(device).float()[:, None, None, :]  # width first, as places are
    place_BSS2 = (((grid_BSS2 + 1) * size_B2 - 1) / 2).clamp(min=0).minimum(size_B2 - 1)
    whole_2 = torch.tensor(padded_BCHW.shape[:1:-1], device=device, dtype=torch.float32)
    return functional.grid_sample(padded_BCHW, (2 * place_BSS2 + 1) / whole_2 - 1, align_corners=False)
