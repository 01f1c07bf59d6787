"""Date and position from a photo's EXIF block. Reads two facts; anything odd reads as absent."""

from datetime import datetime

from PIL import Image
from pydantic import BaseModel, ConfigDict

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_DATE_TIME_ORIGINAL, _DATE_TIME = 0x9003, 0x0132


class PhotoMetadata(BaseModel):
    """When and where a photo was taken, as its camera wrote it: local time, WGS 84 degrees."""

    model_config = ConfigDict(frozen=True)

    event_date: datetime | None = None
    decimal_latitude: float | None = None
    decimal_longitude: float | None = None


def read_metadata(image: Image.Image) -> PhotoMetadata:
    """Facts of an opened image. Never raises: a camera's damaged EXIF must not cost the photo."""
    try:
        exif = image.getexif()
        taken = exif.get_ifd(_EXIF_IFD).get(_DATE_TIME_ORIGINAL) or exif.get(_DATE_TIME)
        gps = exif.get_ifd(_GPS_IFD)
    except Exception:  # EXIF parsing fails in as many ways as there are cameras
        return PhotoMetadata()
    latitude = _degrees(gps.get(2), gps.get(1), limit=90.0)
    longitude = _degrees(gps.get(4), gps.get(3), limit=180.0)
    if latitude is None or longitude is None:
        latitude = longitude = None
    return PhotoMetadata(event_date=_date(taken), decimal_latitude=latitude, decimal_longitude=longitude)


def _date(value: object) -> datetime | None:
    try:
        return datetime.strptime(str(value).strip("\x00 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _degrees(value: object, reference: object, *, limit: float) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    total = degrees + minutes / 60 + seconds / 3600
    if not 0 <= total <= limit:  # also refuses nan
        return None
    return round(-total if str(reference).strip("\x00 ").upper() in ("S", "W") else total, 6)
