"""One training photo -> one random view: drawn as numbers, then made in a single resampling.

Randomness comes from the generator that the caller seeded. Legend: H W pixels, S side of the view.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from training.config import Augment
from training.hardware import one_thread

_GREY = 128
"""What fills a place that has no photo."""
_LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601, as torchvision weighs colours."""
_TRIES = 10


class View(NamedTuple):
    """A view's numbers: the crop's centre from the photo's centre and its size in pixels, the angle in radians by which
    it is turned, whether it is mirrored, and the factors of brightness, contrast and saturation.
    """

    centre: tuple[float, float]
    size: tuple[float, float]
    angle: float
    mirrored: bool
    colour: tuple[float, float, float]


def draw_view(settings: Augment, height: int, width: int, rng: np.random.Generator) -> View:
    """A crop of a random share of the area and a random aspect ratio (Szegedy et al., 2015), turned about its photo."""
    crop_height, crop_width = _crop_size(settings, height, width, rng)
    x = (width - crop_width) * (float(rng.random()) - 0.5)
    y = (height - crop_height) * (float(rng.random()) - 0.5)
    angle = np.radians(settings.rotate_deg) * (2 * float(rng.random()) - 1)
    mirrored = settings.flip and bool(rng.random() < 0.5)
    strengths = (settings.brightness, settings.contrast, settings.saturation)
    brightness, contrast, saturation = (
        1 + strength * (2 * float(rng.random()) - 1) for strength in strengths
    )
    return View((x, y), (crop_width, crop_height), angle, mirrored, (brightness, contrast, saturation))


def _crop_size(settings: Augment, height: int, width: int, rng: np.random.Generator) -> tuple[float, float]:
    """Height and width of a crop that fits; after ten that do not, the largest with an allowed aspect ratio."""
    for _ in range(_TRIES):
        area = height * width * (settings.scale_min + (1 - settings.scale_min) * float(rng.random()))
        ratio = settings.ratio ** (2 * float(rng.random()) - 1)
        crop_width, crop_height = (area * ratio) ** 0.5, (area / ratio) ** 0.5
        if crop_width <= width and crop_height <= height:
            return crop_height, crop_width
    ratio = min(max(width / height, 1 / settings.ratio), settings.ratio)
    return min(height, width / ratio), min(width, height * ratio)


def affine_of(view: View, height: int, width: int) -> Tensor:
    """Float [2, 3]: places of the view -> places of the photo, both from -1 to 1, as ``affine_grid`` wants it."""
    (x, y), (crop_width, crop_height) = view.centre, view.size
    across = -crop_width if view.mirrored else crop_width
    cos, sin = float(np.cos(view.angle)), float(np.sin(view.angle))
    return torch.tensor(
        [
            [cos * across / width, -sin * crop_height / width, 2 * (cos * x - sin * y) / width],
            [sin * across / height, cos * crop_height / height, 2 * (sin * x + cos * y) / height],
        ]
    )


def halvings(view: View, side_px: int) -> int:
    """How often a photo is halved before it is resampled, so that nothing is skipped."""
    return int(np.log2(max(1.0, min(view.size) / side_px)))


def resample(photo_HW3: Tensor, view: View, side_px: int) -> Tensor:
    """Float [3, S, S] in 0 to 255: crop, rotation, mirror and size in one bilinear resampling of a uint8 photo.

    Outside the photo its border goes on. A photo that would shrink to half or less is halved first.
    """
    pixels_1CHW = photo_HW3.permute(2, 0, 1)[None].float()
    for _ in range(halvings(view, side_px)):
        pixels_1CHW = functional.avg_pool2d(pixels_1CHW, 2)
    theta = affine_of(view, photo_HW3.shape[0], photo_HW3.shape[1])[None]
    grid = functional.affine_grid(theta, [1, 3, side_px, side_px], align_corners=False)
    return functional.grid_sample(pixels_1CHW, grid, padding_mode="border", align_corners=False)[0]


def change_colour(pixels_3SS: Tensor, brightness: float, contrast: float, saturation: float) -> Tensor:
    """Torchvision's brightness, then contrast about the mean grey, then saturation, in one pass and in place.

    The mean is numpy's: torch's adds in another order with other threads, and a view must not depend on whether a
    loading process, which has one thread, makes it.
    """
    red, green, blue = pixels_3SS
    grey_SS = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    mean = float(grey_SS.numpy().mean())
    lift_SS = grey_SS.mul_(brightness * contrast * (1 - saturation)).add_((1 - contrast) * brightness * mean)
    return pixels_3SS.mul_(brightness * contrast * saturation).add_(lift_SS)


def change_colours(pixels_B3SS: Tensor, colours_B3: Tensor) -> Tensor:
    """``change_colour`` of a batch, on the device that it is on; ``colours_B3`` as ``View.colour``."""
    luma_3 = torch.tensor(_LUMA, device=pixels_B3SS.device)
    brightness, contrast, saturation = colours_B3.T[:, :, None, None, None]
    grey_B1SS = (pixels_B3SS * luma_3[:, None, None]).sum(dim=1, keepdim=True)
    mean_B111 = grey_B1SS.mean(dim=(2, 3), keepdim=True)
    lift = (1 - saturation) * contrast * grey_B1SS + (1 - contrast) * mean_B111
    coloured: Tensor = brightness * (contrast * saturation * pixels_B3SS + lift)
    return coloured


def make_augmentation(
    settings: Augment, side_px: int
) -> Callable[[NDArray[np.uint8], np.random.Generator], Tensor]:
    """uint8 photo [H, W, 3] and a seeded generator -> uint8 view [3, S, S]."""
    more = _further_changes(settings)
    coloured = any((settings.brightness, settings.contrast, settings.saturation))

    def augment(photo_HW3: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
        height, width = photo_HW3.shape[:2]
        view = draw_view(settings, height, width, rng)
        pixels_3SS = resample(torch.from_numpy(np.array(photo_HW3)), view, side_px)
        if coloured:
            pixels_3SS = change_colour(pixels_3SS, *view.colour)
        view_3SS = pixels_3SS.clamp_(0, 255).round_().to(torch.uint8)
        if more is None:
            return view_3SS
        with torch.random.fork_rng(devices=[]), one_thread():
            torch.manual_seed(int(rng.integers(2**63)))
            changed: Tensor = more(view_3SS)
        return changed

    return augment


def _further_changes(settings: Augment) -> v2.Compose | None:
    """What torchvision does to a finished view, where it is asked for: a policy, hue, erasing."""
    steps: list[torch.nn.Module] = []
    if settings.policy == "randaugment":
        steps.append(v2.RandAugment(settings.policy_ops, settings.policy_magnitude, fill=_GREY))
    elif settings.policy == "trivialaugment":
        steps.append(v2.TrivialAugmentWide(fill=_GREY))
    if settings.hue:
        steps.append(v2.ColorJitter(hue=settings.hue))
    if settings.erase:
        steps.append(v2.RandomErasing(settings.erase, scale=(0.02, 0.2), value=_GREY))
    return v2.Compose(steps) if steps else None
