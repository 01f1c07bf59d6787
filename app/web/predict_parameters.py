"""The parameters of ``/predict``, from the query, the form, or both: each known, valid and given once."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.errors import InvalidField
from app.services.checklists import one_form
from app.services.identify import IdentifyRequest
from app.services.prediction_sets import COVERAGE
from app.services.sighting import Sighting
from app.web.field_faults import invalid_fields
from app.web.strict import refuse_unknown


def _iso_date(value: object) -> object:
    """A date stays a date: midnight would be an invention.

    >>> _iso_date("2024-07-01"), _iso_date("2024-07-01T22:10Z").hour
    (datetime.date(2024, 7, 1), 22)
    """
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value) if len(value) <= 10 else datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(
            "expected an ISO 8601 date or time such as 2024-07-01 or 2024-07-01T22:10Z"
        ) from None


def _degrees(value: object) -> object:
    """Degrees as people write them: a comma for the point is understood.

    >>> _degrees("47,25"), _degrees("-11.4")
    (47.25, -11.4)
    """
    if not isinstance(value, str):
        return value
    try:
        return float(value.strip().replace(",", "."))
    except ValueError:
        raise ValueError("expected degrees with decimals, such as 47.25") from None


class PredictParameters(BaseModel):
    """How an answer is wanted. Every one may stand in the query or in the form."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: Annotated[
        str | None, Field(max_length=64, description="Name; the default model where silent.")
    ] = None
    top_k: Annotated[int, Field(ge=1, le=50, description="How many labels the answer lists.")] = 5
    reliability: Annotated[
        float | None,
        Field(ge=0.5, le=0.99, description="What a decision must reach; where silent, what the card says."),
    ] = None
    coverage: Annotated[
        float,
        Field(ge=0.8, le=0.99, description="How often `prediction_set` is to hold the right species."),
    ] = COVERAGE
    decimal_latitude: Annotated[
        float | None,
        BeforeValidator(_degrees),
        Field(
            ge=-90,
            le=90,
            description="WGS 84; else as the photo's EXIF says. A checklist of that place is used.",
        ),
    ] = None
    decimal_longitude: Annotated[
        float | None,
        BeforeValidator(_degrees),
        Field(ge=-180, le=180, description="WGS 84. Goes with `decimal_latitude`."),
    ] = None
    event_date: Annotated[
        datetime | date | None,
        BeforeValidator(_iso_date, json_schema_input_type=str | None),
        Field(description="ISO 8601 date or time; else as the photo's EXIF says. Checklists go by its week."),
    ] = None
    explain: Annotated[
        bool, Field(description="Adds a heatmap of the first photo and the training images nearest to it.")
    ] = False
    prior: Annotated[
        str | None,
        Field(
            max_length=100,
            description="Which checklist holds: its name, `none`, or `auto` (also where silent) for the one of the "
            "photo's place, else of its season.",
        ),
    ] = None

    def request(self, photos: tuple[bytes, ...]) -> IdentifyRequest:
        """What is asked of these photos of one animal."""
        return IdentifyRequest(
            photos=photos,
            model=self.model,
            top_k=self.top_k,
            reliability=self.reliability,
            coverage=self.coverage,
            explain=self.explain,
            prior=None if self.prior is None else one_form(self.prior),
            sighting=Sighting(self.event_date, self.decimal_latitude, self.decimal_longitude),
        )

    def body_sha256(self, photos: Sequence[bytes]) -> str:
        """What was asked, as a hash: the parameters and the photos in order, not how they were encoded."""
        newer = {"prior": None, "coverage": COVERAGE}  # left out where silent: keys of before them stay good
        silent = {name for name, default in newer.items() if getattr(self, name) == default}
        told = json.dumps(self.model_dump(mode="json", exclude=silent), sort_keys=True).encode()
        digests = b"".join(hashlib.sha256(data).digest() for data in photos)
        return hashlib.sha256(hashlib.sha256(told).digest() + digests).hexdigest()


def read_parameters(query: Iterable[tuple[str, str]], form: Iterable[tuple[str, str]]) -> PredictParameters:
    """The parameters of one request. Raises InvalidField, which names each fault.

    >>> read_parameters([("top_k", "3")], [("reliability", "0.8")]).top_k
    3
    """
    form = list(form)
    refuse_unknown((name for name, _ in form), [*PredictParameters.model_fields, "image"], "form field")
    given: dict[str, str] = {}
    for name, value in [*query, *form]:
        if name in given:
            raise InvalidField.of(name, "given twice; which one counts?")
        given[name] = value
    try:
        parameters = PredictParameters.model_validate(given)
    except ValidationError as error:
        raise invalid_fields(error.errors()) from error
    if (parameters.decimal_latitude is None) != (parameters.decimal_longitude is None):
        raise InvalidField.of("decimal_latitude", "goes with decimal_longitude: give both or none")
    return parameters
