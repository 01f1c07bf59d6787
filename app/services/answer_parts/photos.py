"""A photo of an answer: its size, its place and date, its faults. Values only, and no pixel."""

from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from app.services.answer_parts.base import AnswerPart
from models.photo_quality import PhotoWarning


class ImageAnswer(AnswerPart):
    """One photo as it was sent; pixels are those of the upright photo. No pixel of it is in here."""

    sha256: Annotated[str, Field(description="Of the bytes that were sent.")]
    width_px: int
    height_px: int
    format: str
    orientation_applied: bool
    event_date: Annotated[
        datetime | date | None,
        Field(description="As the request says, else as the photo's EXIF says (local time, no zone)."),
    ]
    decimal_latitude: Annotated[
        float | None, Field(description="WGS 84. As the request says, else as the photo's EXIF says.")
    ]
    decimal_longitude: Annotated[
        float | None, Field(description="WGS 84. As the request says, else as the photo's EXIF says.")
    ]
    warnings: Annotated[
        tuple[PhotoWarning, ...], Field(description="What about the photo makes the answer less certain.")
    ]
