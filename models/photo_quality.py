"""What about a photo makes its answer less certain: small, dark, blurred. Pure numpy.

Measured on the array that the model sees, so a warning is about what the model got, and costs a fraction of a
millisecond. The thresholds are set low: a warning that is often wrong is not read. Green stands for the luma.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

PhotoWarning = Literal["small", "dark", "blurred"]

DARK_BELOW = 0.25
"""Brightness, 0 to 1. 120 museum and light-trap photos reached 0.50 to 1; below 0.25 nothing is lit."""

BLURRED_BELOW = 3.0
"""Sharpness, in levels of 0 to 255. The same photos had 7 to 104 at 224 and 288 px; blurred with a sigma of
four pixels of the model's input, where no marking of a wing is left, they had 1.3 to 2.2."""


def brightness(image_HWC: NDArray[np.uint8]) -> float:
    """The 95th percentile of a sixteenth of the pixels, in 0 to 1.

    >>> brightness(np.full((8, 8, 3), 255, np.uint8))
    1.0
    """
    return float(np.quantile(image_HWC[::4, ::4, 1], 0.95)) / 255.0


def sharpness(image_HWC: NDArray[np.uint8]) -> float:
    """Root mean square of the Laplacian (Pech-Pacheco et al., 2000) of every second row: edges, in levels.

    >>> sharpness(np.full((8, 8, 3), 90, np.uint8))
    0.0
    """
    green = image_HWC[:, :, 1].astype(np.float32)
    rows = green[1:-1:2]
    laplacian = green[:-2:2, 1:-1] + green[2::2, 1:-1] + rows[:, :-2] + rows[:, 2:] - 4 * rows[:, 1:-1]
    flat = laplacian.ravel()
    return float(np.sqrt(np.dot(flat, flat) / flat.size))


def photo_warnings(
    image_HWC: NDArray[np.uint8], *, width_px: int, height_px: int
) -> tuple[PhotoWarning, ...]:
    """Warnings about one photo: its model input (uint8, square), and its size as it was sent.

    >>> photo_warnings(np.zeros((64, 64, 3), np.uint8), width_px=32, height_px=64)
    ('small', 'dark')
    """
    found: list[PhotoWarning] = []
    if min(width_px, height_px) < image_HWC.shape[0]:
        found.append("small")
    if brightness(image_HWC) < DARK_BELOW:
        found.append("dark")
    elif sharpness(image_HWC) < BLURRED_BELOW:  # of a photo without light nothing can be said
        found.append("blurred")
    return tuple(found)
