"""One training photo -> one random view. Randomness comes from the caller's seeded torch generator state."""

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from training.config import Augment

_GREY = 128
"""What fills a place that has no photo."""


def make_augmentation(settings: Augment, size_px: int) -> v2.Compose:
    """uint8 [3, H, W] -> uint8 [3, size_px, size_px], by torchvision's v2 transforms."""
    steps: list[torch.nn.Module] = [
        v2.RandomResizedCrop(
            size_px,
            scale=(settings.scale_min, 1.0),
            ratio=(1 / settings.ratio, settings.ratio),
            interpolation=InterpolationMode.BILINEAR,
            antialias=True,
        )
    ]
    if settings.rotate_deg:
        steps.insert(0, _EdgeRotation(settings.rotate_deg))
    if settings.flip:
        steps.append(v2.RandomHorizontalFlip())
    if settings.policy == "randaugment":
        steps.append(v2.RandAugment(settings.policy_ops, settings.policy_magnitude, fill=_GREY))
    elif settings.policy == "trivialaugment":
        steps.append(v2.TrivialAugmentWide(fill=_GREY))
    jitter = (settings.brightness, settings.contrast, settings.saturation, settings.hue)
    if any(jitter):
        steps.append(v2.ColorJitter(*jitter))
    if settings.erase:
        steps.append(v2.RandomErasing(settings.erase, scale=(0.02, 0.2), value=_GREY))
    return v2.Compose(steps)


class _EdgeRotation(torch.nn.Module):
    """Rotation that fills corners with the photo's own mean border colour rather than black.

    By Pillow: torchvision's rotation of a tensor darkens the seam to the fill, and takes twice as long.
    """

    def __init__(self, degrees: float) -> None:
        super().__init__()
        self.degrees = degrees

    def forward(self, image: Tensor) -> Tensor:
        """Rotate uint8 [3, H, W] by a random angle."""
        angle = float(torch.empty(()).uniform_(-self.degrees, self.degrees))
        border = torch.cat([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], dim=1)
        fill = tuple(round(float(value)) for value in border.float().mean(dim=1))
        turned = v2.functional.to_pil_image(image).rotate(angle, Image.Resampling.BILINEAR, fillcolor=fill)
        rotated: Tensor = v2.functional.pil_to_tensor(turned)
        return rotated
