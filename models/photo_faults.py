"""What is wrong with a photo that was not named, each fault with the figure that was measured. Pure numpy.

Asked only of photos without an answer, and on the array that the model saw. ``models.photo_quality`` warns of every
photo; what is here has stricter limits where those would blame too many photos that are fine.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.photo_quality import BLURRED_BELOW, DARK_BELOW, brightness, sharpness

FaultName = Literal["small", "dark", "blurred", "cut_off"]

CUT_OFF_ABOVE = 0.4
"""Share of one edge that the animal takes up. Of 300 light-trap photos 3 in 100 are above it, of the same photos cut
through the middle 69, and with three tenths cut off one side 41 in 100; of 200 on leaves and flowers 18 in 100."""

_BUSY_ABOVE = 0.3
"""Share of the whole frame that is not background: above it the background is not plain, and nothing can be said."""


class PhotoFault(BaseModel):
    """One fault: what was measured, and the limit that it is beyond."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: FaultName
    value: float
    limit: float

    def sentence(self) -> str:
        """What is wrong, with its figure.

        >>> PhotoFault(fault="dark", value=0.082, limit=0.25).sentence()
        'the photo is dark: its brightest parts reach 8% of full light (less than 25% counts as dark)'
        """
        if self.fault == "small":
            return f"the photo is small: {self.value:.0f} pixels on its shorter side, of at least {self.limit:.0f}"
        if self.fault == "dark":
            return (
                f"the photo is dark: its brightest parts reach {self.value:.0%} of full light "
                f"(less than {self.limit:.0%} counts as dark)"
            )
        if self.fault == "blurred":
            return (
                f"the photo is blurred or empty: its edges have a strength of {self.value:.1f}, "
                f"of at least {self.limit:.1f}"
            )
        return f"the animal may be cut off: it takes up {self.value:.0%} of one edge of the photo"


def photo_faults(image_HWC: NDArray[np.uint8], *, width_px: int, height_px: int) -> tuple[PhotoFault, ...]:
    """Faults of one photo: its model input (uint8, square), and its size as it was sent.

    >>> [found.fault for found in photo_faults(np.zeros((64, 64, 3), np.uint8), width_px=15, height_px=64)]
    ['small', 'dark']
    """
    short, smallest = min(width_px, height_px), smallest_px(image_HWC.shape[0])
    light = brightness(image_HWC)
    found = []
    if short < smallest:
        found.append(PhotoFault(fault="small", value=short, limit=smallest))
    if light < DARK_BELOW:  # of a photo without light nothing more can be said
        return (*found, PhotoFault(fault="dark", value=light, limit=DARK_BELOW))
    edges = sharpness(image_HWC)
    if edges < BLURRED_BELOW:
        return (*found, PhotoFault(fault="blurred", value=edges, limit=BLURRED_BELOW))
    cut = edge_share(image_HWC)
    if cut is not None and cut > CUT_OFF_ABOVE:
        found.append(PhotoFault(fault="cut_off", value=cut, limit=CUT_OFF_ABOVE))
    return tuple(found)


def edge_share(image_HWC: NDArray[np.uint8]) -> float | None:
    """Largest share of one of the four edges that is not background, 0 to 1; None where that is not plain.

    The background's colour is the median of the frame. What is farther from it than Otsu's threshold (1979) of these
    distances over the whole photo is not background.

    >>> sheet = np.full((8, 8, 3), 240, np.uint8)
    >>> sheet[2:6, :6] = 20
    >>> edge_share(sheet)
    0.5
    """
    small_HWC = image_HWC[:: max(1, image_HWC.shape[0] // 80), :: max(1, image_HWC.shape[1] // 80)]
    pixels_HWC = small_HWC.astype(np.float32)
    frame = np.concatenate([pixels_HWC[0], pixels_HWC[-1], pixels_HWC[:, 0], pixels_HWC[:, -1]])
    distance_HW = np.sqrt(((pixels_HWC - np.median(frame, axis=0)) ** 2).sum(axis=2))
    outside_HW = distance_HW > _otsu(distance_HW.ravel())
    edges = (outside_HW[0], outside_HW[-1], outside_HW[:, 0], outside_HW[:, -1])
    if np.concatenate(edges).mean() > _BUSY_ABOVE:
        return None
    return float(max(edge.mean() for edge in edges))


def _otsu(values: NDArray[np.float32]) -> float:
    """The cut between two kinds of values that leaves each as alike as can be; the largest value for one kind."""
    counts, ends = np.histogram(values, 64)
    below = np.cumsum(counts)[:-1] / len(values)
    sums = np.cumsum(counts * (ends[:-1] + ends[1:]) / 2)
    share = below * (1 - below)
    between = np.divide(
        (sums[-1] / len(values) * below - sums[:-1] / len(values)) ** 2,
        share,
        out=np.zeros_like(share),
        where=share > 0,
    )
    best = int(between.argmax())
    return float(ends[best + 1]) if between[best] > 0 else float(values.max())


def smallest_px(size_px: int) -> int:
    """Shorter side below which a photo counts as too small for a model that looks at ``size_px``.

    A model that looks at 320 px named 87 of 100 photos right as they were, 79 made to 160 px, 69 at 112 and 58 at 80.

    >>> smallest_px(320)
    106
    """
    return size_px // 3
