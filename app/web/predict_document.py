"""What the OpenAPI document says of ``/predict`` that types alone do not: bodies, refusals, batches."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.errors import (
    Busy,
    Conflict,
    DiskFull,
    Forbidden,
    InvalidField,
    LoginRequired,
    NotFound,
    PhotoTooLarge,
    TooManyRequests,
    UnreadableRequest,
    UnsupportedPhoto,
)
from app.services.answers import IdentifyAnswer
from app.web.predict_parameters import PredictParameters


class ProblemItem(BaseModel):
    """Why a photo got no answer: RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


class BatchItem(BaseModel):
    """One photo of a batch: ``result`` or ``problem``, never both."""

    index: int
    filename: str | None
    result: Annotated[IdentifyAnswer | None, Field(description="Absent where there is a problem.")] = None
    problem: Annotated[ProblemItem | None, Field(description="Absent where there is a result.")] = None


def _form(photos: str, most: str) -> dict[str, Any]:
    """A multipart body: photos, and every parameter that the query takes too."""
    parameters = PredictParameters.model_json_schema()["properties"]
    image = {"type": "array", "items": {"type": "string", "format": "binary"}, "description": photos}
    alias = {**image, "description": f"Another name of `image`. {most}"}
    properties = {"image": image, "images": alias, **parameters}
    return {"multipart/form-data": {"schema": {"type": "object", "properties": properties}}}


PREDICT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **_form("1 to 10 photos of the same animal.", "At most 10 together."),
            "image/*": {"schema": {"type": "string", "format": "binary", "description": "One photo."}},
        },
    }
}
BATCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": _form("Photos of different animals, in the order of the answer.", "At most 64 together."),
    }
}
_KINDS = (
    UnreadableRequest,
    LoginRequired,
    Forbidden,
    NotFound,
    Conflict,
    PhotoTooLarge,
    UnsupportedPhoto,
    InvalidField,
    TooManyRequests,
    Busy,
    DiskFull,
)
REFUSALS: dict[int | str, dict[str, Any]] = {
    kind.status: {"description": kind.title, "content": {"application/problem+json": {}}} for kind in _KINDS
}
