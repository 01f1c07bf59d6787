"""A photo seen twice: as it is and mirrored, and one reading of both. Pure numpy, for evaluation and the service.

N photos, H W pixels, C classes.
"""

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Views = Literal["one", "mirrored"]
"""``one``: a photo as it is. ``mirrored``: the photo and its mirror image (left and right swapped), read together."""

_Float = TypeVar("_Float", np.float32, np.float64)


def with_views(images_NHWC: NDArray[np.uint8], views: Views) -> NDArray[np.uint8]:
    """What a network is shown: the photos, and where ``views`` says so after them all mirror images, in order.

    >>> with_views(np.array([[[[1], [2]]]], dtype=np.uint8), "mirrored")[:, 0, :, 0].tolist()
    [[1, 2], [2, 1]]
    """
    if views == "one":
        return images_NHWC
    return np.concatenate([images_NHWC, images_NHWC[:, :, ::-1]])


def over_views(logits_MC: NDArray[_Float], views: Views) -> NDArray[_Float]:
    """Logits of photos [N, C] from those of everything that the network was shown: their mean over the views.

    The mean of logits is the mean of log-probabilities up to a constant a photo, so the softmax of it is the normalised
    geometric mean of what each view says. It is taken before calibration, which is fitted on it. Raises ValueError for
    an odd number of mirrored views.

    >>> over_views(np.array([[1.0, 0.0], [3.0, 2.0]]), "mirrored").tolist()
    [[2.0, 1.0]]
    """
    if views == "one":
        return logits_MC
    if len(logits_MC) % 2:
        raise ValueError(f"{len(logits_MC)} views are not photos and as many mirror images")
    half = len(logits_MC) // 2
    return ((logits_MC[:half] + logits_MC[half:]) / 2).astype(logits_MC.dtype)
