"""Where a model looked, as a picture: heat of each place over the photo that it saw. Pure; knows no model."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_COLD, _HOT = np.array([24, 16, 60], np.float32), np.array([255, 196, 64], np.float32)


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
    weight = np.asarray(levels, dtype=np.float32)[:, :, None] / 255.0
    colour = _COLD * (1 - weight) + _HOT * weight
    grey = image.astype(np.float32).mean(axis=2, keepdims=True)  # what is cold loses its colours too
    blended = 0.55 * (image * weight + grey * (1 - weight)) + 0.45 * colour
    picture: NDArray[np.uint8] = np.clip(blended, 0, 255).astype(np.uint8)
    return picture
