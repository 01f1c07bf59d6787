"""Where the model looked: the part of each place in the embedding, as a picture. Pure functions.

A class activation map (Zhou et al., 2016) needs the head's weights, which a bundle's graph does not give out.
The embedding stands in for them: the map is the features' dot product with the direction of the embedding.
"""

import base64
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

METHOD = (
    "Dot product of the feature map with the direction of the photo's embedding (an activation map without "
    "the head's weights): how much each place added to what tells species apart, not for which one it spoke."
)
_COLD, _HOT = np.array([24, 16, 60], np.float32), np.array([255, 196, 64], np.float32)


def heat(features: NDArray[np.float32], embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Heat in 0 to 1 [h, w] from features [D, h, w] and embedding [D].

    >>> heat(np.array([[[0.0, 2.0]], [[5.0, 1.0]]], np.float32), np.array([1.0, 0.0], np.float32)).tolist()
    [[0.0, 1.0]]
    """
    raw = np.maximum(np.tensordot(embedding, features, axes=1), 0.0)
    top = float(raw.max())
    return (raw / top if top > 0 else raw).astype(np.float32)


def heatmap_png(image: NDArray[np.uint8], heat_map: NDArray[np.float32]) -> bytes:
    """PNG of the model's view uint8 [H, W, 3], dark where it is cold and gold where it is hot."""
    height, width = image.shape[:2]
    levels = Image.fromarray((heat_map * 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    weight = np.asarray(levels, dtype=np.float32)[:, :, None] / 255.0
    colour = _COLD * (1 - weight) + _HOT * weight
    grey = image.astype(np.float32).mean(axis=2, keepdims=True)
    blended = 0.55 * (image * weight + grey * (1 - weight)) + 0.45 * colour
    out = BytesIO()
    Image.fromarray(np.clip(blended, 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def heatmap_base64(
    image: NDArray[np.uint8], features: NDArray[np.float32], embedding: NDArray[np.float32]
) -> str:
    """The picture for one photo: model input [H, W, 3], features [D, h, w], embedding [D]."""
    return base64.b64encode(heatmap_png(image, heat(features, embedding))).decode("ascii")
