"""Where a model looked, as a picture: heat of each place over the photo that it saw. Pure; knows no model."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_COLD, _HOT = np.array([24, 16, 60], np.float32), np.array([255, 196, 64], np.float32)
_PHOTO = np.float32(0.55)
"""Share of the photo in the picture; the rest is heat."""

_COLDEST, _WARMER = (1 - _PHOTO) * _COLD, (1 - _PHOTO) * (_HOT - _COLD)


def heat(features: NDArray[np.float32], direction: NDArray[np.float32]) -> NDArray[np.float32]:
    """Heat in 0 to 1 [h, w]: the positive part of the features' [D, h, w] dot product with a direction [D].

    >>> heat(np.array([[[0.0, 2.0]], [[5.0, 1.0]]], np.float32), np.array([1.0, 0.0], np.float32)).tolist()
    [[0.0, 1.0]]
    """
    raw = np.maximum(np.tensordot(direction, features, axes=1), 0.0)
    top = float(raw.max())
    return (raw / top if top > 0 else raw).astype(np.float32)


def heated(image: NDArray[np.uint8], heat_map: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The model's view uint8 [H, W, 3], dark where it is cold and gold where it is hot."""
    height, width = image.shape[:2]
    levels = Image.fromarray((heat_map * 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    weight_HW = np.asarray(levels, dtype=np.float32) / 255.0
    planes = [
        image[:, :, colour].astype(np.float32) for colour in range(3)
    ]  # whole, they take seven times as long
    grey_HW = (planes[0] + planes[1] + planes[2]) / np.float32(3)  # what is cold loses its colours too
    drawn = np.empty_like(image)
    for colour, plane_HW in enumerate(planes):
        plane_HW -= grey_HW
        plane_HW *= _PHOTO
        plane_HW += _WARMER[colour]
        plane_HW *= weight_HW
        plane_HW += _PHOTO * grey_HW
        plane_HW += _COLDEST[colour]
        drawn[:, :, colour] = plane_HW
    return drawn
