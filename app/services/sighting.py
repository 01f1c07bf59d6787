"""Where and when an animal was seen, as far as the request or its photos say. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from models.exif import PhotoMetadata
from models.place import distance_km

SAME_PLACE_KM = 1.0
"""Positions of one animal's photos may lie as far apart: what a phone without a clear sky is wrong by."""
SAME_NIGHT = timedelta(days=1)

Position = tuple[float, float]


@dataclass(frozen=True)
class Sighting:
    """When and where the animal was seen, as far as the request says. WGS 84 degrees."""

    event_date: datetime | date | None = None
    decimal_latitude: float | None = None
    decimal_longitude: float | None = None


@dataclass(frozen=True)
class Seen:
    """What a checklist is chosen by: positions, each of which it must hold, and the ISO week, if all photos agree.

    ``disagreements``: sentences on what the photos do not agree on.
    """

    positions: tuple[Position, ...] = ()
    week: int | None = None
    disagreements: tuple[str, ...] = field(default=())


def week_of(moment: datetime | date | None) -> int | None:
    """ISO week of a date, 1 to 53.

    >>> week_of(date(2024, 7, 1)), week_of(date(2021, 1, 3))
    (27, 53)
    """
    return None if moment is None else moment.isocalendar().week


def seen_at(photos: Sequence[PhotoMetadata], sighting: Sighting) -> Seen:
    """Place and week of a sighting: as the request says, else as the EXIF of those photos that say it.

    >>> night = [PhotoMetadata(event_date=datetime(2024, 7, day, hour)) for day, hour in ((7, 23), (8, 1))]
    >>> seen_at(night, Sighting())
    Seen(positions=(), week=27, disagreements=())
    """
    positions, apart = _positions(photos, sighting)
    week, at_odds = _week(photos, sighting)
    return Seen(positions, week, tuple(each for each in (apart, at_odds) if each))


def _positions(photos: Sequence[PhotoMetadata], sighting: Sighting) -> tuple[tuple[Position, ...], str]:
    said: list[Sighting | PhotoMetadata] = [sighting, *photos]
    known = [
        (each.decimal_latitude, each.decimal_longitude)
        for each in said
        if each.decimal_latitude is not None and each.decimal_longitude is not None
    ]
    if sighting.decimal_latitude is not None:
        return tuple(known[:1]), ""
    widest = max((distance_km(*one, *other) for one in known for other in known), default=0.0)
    if widest <= SAME_PLACE_KM:
        return tuple(known[:1]), ""
    return tuple(known), (
        f"The photos were taken up to {widest:,.0f} km apart, by their own positions: they may not show one animal. "
        "Only a checklist that holds at all of these places is used; with decimal_latitude and decimal_longitude the "
        "request says which is right."
    )


def _week(photos: Sequence[PhotoMetadata], sighting: Sighting) -> tuple[int | None, str]:
    if sighting.event_date is not None:
        return week_of(sighting.event_date), ""
    taken = sorted(each.event_date for each in photos if each.event_date is not None)
    if not taken:
        return None, ""
    first, last = taken[0], taken[-1]
    if last - first <= SAME_NIGHT:
        return week_of(first), ""
    same = first.isocalendar()[:2] == last.isocalendar()[:2]
    used = "" if same else " No week is used for a checklist;"
    return week_of(first) if same else None, (
        f"The photos are from {first:%Y-%m-%d} to {last:%Y-%m-%d}, by their own dates: they may not show one animal."
        f"{used or ' All are of one week, which is used;'} with event_date the request says which is right."
    )
