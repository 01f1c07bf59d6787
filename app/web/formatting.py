"""Numbers, names and times in words. Pure functions; knows nothing of templates or requests."""

from collections.abc import Sequence
from datetime import datetime

from models.groups import GROUPS, Group
from models.metrics import Estimate
from models.words import count_words, signed

GROUP_SYMBOLS: dict[Group, str] = {"head": "●", "middle": "■", "tail": "◆"}
"""A sign for each group, so that colour is never the only difference."""

NO_SPECIES = "no species"
NO_TEST_PHOTOS = "no test photos"


def share(value: float) -> str:
    """A measured proportion as a whole percentage.

    >>> share(0.9375), share(1.0)
    ('94%', '100%')
    """
    return f"{value:.0%}"


def interval_words(interval: Sequence[float]) -> str:
    """A 95% interval in percent.

    >>> interval_words((0.623, 0.984))
    '62–98%'
    """
    low, high = interval
    return f"{100 * low:.0f}–{100 * high:.0f}%"


def estimate_words(estimate: Estimate | None, absent: str = NO_TEST_PHOTOS) -> str:
    """A figure with its interval, or why there is none.

    >>> estimate_words(Estimate(value=10 / 11, interval=(0.623, 0.984)))
    '91% (62–98%)'
    >>> estimate_words(None, NO_SPECIES)
    'no species'
    """
    return absent if estimate is None else f"{share(estimate.value)} ({interval_words(estimate.interval)})"


def points_words(difference: float) -> str:
    """A difference of two proportions in percentage points, with its sign.

    >>> points_words(0.142), points_words(-0.03), points_words(0.0)
    ('+14 points', '−3 points', '0 points')
    """
    points = signed(100 * difference, digits=0)
    return f"{points} point{'' if points[1:] == '1' else 's'}"


def signed_points(difference: float) -> str:
    """A difference of two proportions in percentage points, to a tenth.

    >>> signed_points(0.0612)
    '+6.1'
    """
    return signed(100 * difference)


def added_words(num_photos: int) -> str:
    """What a species is that was added without training.

    >>> added_words(5)
    'added from 5 photos, not tested'
    """
    return f"added from {count_words(num_photos, 'photo')}, not tested"


def moment_words(moment: datetime) -> str:
    """A moment for people; the machine-readable one stands beside it in the markup.

    >>> from datetime import UTC
    >>> moment_words(datetime(2025, 5, 3, 21, 4, tzinfo=UTC))
    '3 May 2025, 21:04 UTC'
    """
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def group_order(group: Group) -> int:
    """Sort key of a group: head first."""
    return GROUPS.index(group)
