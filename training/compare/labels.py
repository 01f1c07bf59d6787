"""Where labels of points go so that none covers another, as far as there is room. Pure geometry in points."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

_DIRECTIONS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
_DISTANCES = (8.0, 14.0, 22.0, 32.0, 44.0)
_POINT = 4.0


class Box(NamedTuple):
    """A rectangle: left, bottom, right, top."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "Box") -> float:
        """Area that both cover.

        >>> Box(0, 0, 2, 2).overlap(Box(1, 1, 3, 3))
        1
        """
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0, width) * max(0, height)

    @property
    def area(self) -> float:
        """Its area."""
        return (self.right - self.left) * (self.top - self.bottom)


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
) -> list[Box]:
    """A box for each label of ``sizes`` (width, height) near its point and within ``frame``.

    Of the free places the nearest is taken; where there is none, the one that covers least. Long labels choose first.
    """
    marks = [Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in points]
    placed: dict[int, Box] = {}
    for index in sorted(range(len(points)), key=lambda i: -sizes[i][0]):
        taken = [*marks, *placed.values()]
        candidates = list(_candidates(points[index], sizes[index]))
        costs = [
            sum(box.overlap(other) for other in taken) + 2 * (box.area - box.overlap(frame))
            for box in candidates
        ]
        placed[index] = candidates[int(np.argmin(np.round(costs, 3)))]
    return [placed[index] for index in range(len(points))]


def _candidates(point: tuple[float, float], size: tuple[float, float]) -> Iterator[Box]:
    (x, y), (width, height) = point, size
    for distance in _DISTANCES:
        for across, up in _DIRECTIONS:
            length = distance / float(np.hypot(across, up))
            centre_x = x + across * (length + width / 2)
            centre_y = y + up * (length + height / 2)
            yield Box(
                centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2
            )
