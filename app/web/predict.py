"""``POST /predict`` and ``/predict/batch``: read the body, ask for answers, send what was saved."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from app.errors import InvalidField
from app.services.answers import IdentifyAnswer
from app.services.identify import Idempotency
from app.web.answering import Answering, Outcome
from app.web.dependencies import CurrentSettings, Identifier
from app.web.predict_document import BATCH_BODY, PREDICT_BODY, REFUSALS, BatchItem
from app.web.predict_parameters import PredictParameters, read_parameters
from app.web.problems import problem_document, request_id
from app.web.rate_limit import CallerRate, subject_of
from app.web.uploads import SentPhoto, Upload, UploadLimits, read_upload

MAX_PHOTOS = 10
"""Photos of one animal."""

router = APIRouter(tags=["identify"])


async def _answering(request: Request) -> Answering:
    answering: Answering = request.app.state.answering
    return answering


async def _predict_rate(request: Request) -> CallerRate:
    rate: CallerRate = request.app.state.predict_rate
    return rate


Answers = Annotated[Answering, Depends(_answering)]
Rate = Annotated[CallerRate, Depends(_predict_rate)]
# The form may bring the same parameters; declared here so that the query's are known and documented.
Parameters = Annotated[PredictParameters, Query()]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="Names this request: sent again with the same photos and parameters, it gets the answer "
        "that was saved; with others, 409. Keys of different callers never meet.",
    ),
]


@router.post("/predict", response_model=IdentifyAnswer, openapi_extra=PREDICT_BODY, responses=REFUSALS)
async def predict(
    request: Request,
    _query: Parameters,
    caller: Identifier,
    settings: CurrentSettings,
    answers: Answers,
    rate: Rate,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Name one animal from 1 to 10 photos of it. The answer is saved before it is sent."""
    subject = subject_of(caller, request)
    headers = await rate.hit(subject)
    with answers.admission.reading() as reservation:
        limits = UploadLimits(MAX_PHOTOS, settings.max_photo_bytes)
        upload = await read_upload(request, limits, reservation.grow)
        parameters = read_parameters(request.query_params.multi_items(), upload.fields)
        photos = tuple(photo.data for photo in _at_least_one(upload))
        asked = replace(parameters.request(photos), caller=caller)
        if idempotency_key is not None:
            idempotency = Idempotency(subject, idempotency_key, parameters.body_sha256(photos))
            asked = replace(asked, idempotency=idempotency)
        text = await answers.one(asked)
    return Response(text, media_type="application/json", headers=headers)


@router.post("/predict/batch", response_model=list[BatchItem], openapi_extra=BATCH_BODY, responses=REFUSALS)
async def predict_batch(
    request: Request,
    _query: Parameters,
    caller: Identifier,
    settings: CurrentSettings,
    answers: Answers,
    rate: Rate,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Name several animals, one photo each. One bad photo never fails the others."""
    subject = subject_of(caller, request)
    headers = await rate.hit(subject)
    with answers.admission.reading() as reservation:
        limits = UploadLimits(settings.max_batch_photos, settings.max_photo_bytes)
        upload = await read_upload(request, limits, reservation.grow)
        parameters = read_parameters(request.query_params.multi_items(), upload.fields)
        photos = _at_least_one(upload)
        if len(photos) > 1:
            headers = await rate.hit(subject, cost=len(photos), counted=1)
        asked = [replace(parameters.request((photo.data,)), caller=caller) for photo in photos]
        if idempotency_key is not None:
            body_sha256 = parameters.body_sha256([photo.data for photo in photos])
            asked = [
                replace(each, idempotency=Idempotency(f"{subject}#{index}", idempotency_key, body_sha256))
                for index, each in enumerate(asked)
            ]
        outcomes = await answers.many(asked)
    return Response(_items(request, photos, outcomes), media_type="application/json", headers=headers)


def _at_least_one(upload: Upload) -> Sequence[SentPhoto]:
    if not upload.photos:
        raise InvalidField.of("image", "no photo was sent; it goes into this field")
    return upload.photos


def _items(request: Request, photos: Sequence[SentPhoto], outcomes: Sequence[Outcome]) -> str:
    """The batch's answer. What was saved is sent as it was saved, not parsed and written again."""
    items = []
    for index, (photo, outcome) in enumerate(zip(photos, outcomes, strict=True)):
        if isinstance(outcome, str):
            field = f'"result":{outcome}'
        else:
            problem = problem_document(outcome, instance=request.url.path, request_id=request_id(request))
            field = f'"problem":{json.dumps(problem)}'
        items.append(f'{{"index":{index},"filename":{json.dumps(photo.filename)},{field}}}')
    return f"[{','.join(items)}]"
