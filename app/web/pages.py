"""``/`` and what was identified: read the query, ask, render. The form works without JavaScript too."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import identifications
from app.db.tables import Role
from app.errors import AppError, InvalidField, NotFound
from app.inference.engine import Engine
from app.services import registry
from app.services.accounts import Caller
from app.services.answers import IdentifyAnswer
from app.services.papers import papers_of
from app.settings import Settings
from app.web.answering import Outcome
from app.web.dependencies import CurrentCaller, CurrentSettings, Identifier, Session
from app.web.forms import check_origin
from app.web.identification_view import identification_record, identification_view
from app.web.naming import names_by_label
from app.web.predict import MAX_PHOTOS, Answers, Rate
from app.web.predict_parameters import read_parameters
from app.web.rate_limit import subject_of
from app.web.rendering import render, render_fragment
from app.web.strict import refuse_unknown
from app.web.uploads import SentPhoto, UploadLimits, read_upload
from app.web.views import (
    IdentificationRecord,
    IdentificationsView,
    IdentifyView,
    ModelChoice,
    PartlyAnsweredView,
    UnansweredPhoto,
)
from models.card import ModelCard

PAGE_SIZE = 24
ASKED_FIELDS = ("model", "explain", "prior", "event_date", "decimal_latitude", "decimal_longitude")
FORM_FIELDS = ("image", "together", *ASKED_FIELDS)

router = APIRouter(include_in_schema=False)


def model_choices(engine: Engine, selected: str | None) -> tuple[ModelChoice, ...]:
    """The deployed models for a selector. Raises NotFound when the selected one is not deployed."""
    deployed = engine.deployed()
    if selected is not None and selected not in [model.card.name for model in deployed]:
        raise NotFound(f"No model named {selected!r} is deployed.")
    name = selected or (engine.get().card.name if deployed else None)
    return tuple(
        ModelChoice(
            model.card.name,
            model.card.title,
            model.card.version,
            model.card.num_classes,
            model.card.name == name,
        )
        for model in deployed
    )


@router.get("/")
async def identify_page(
    request: Request,
    caller: CurrentCaller,
    settings: CurrentSettings,
    model: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Where photos go in."""
    view = IdentifyView(
        models=model_choices(request.app.state.engine, model),
        may_identify=settings.public_identify or caller.may("predict"),
        max_photo_bytes=settings.max_photo_bytes,
        max_photo_megabytes=settings.max_photo_bytes // 1_000_000,
        max_photo_megapixels=settings.max_photo_pixels // 1_000_000,
        max_photos=MAX_PHOTOS,
    )
    return render(request, view)


@router.post("/predict/form")
async def identify_by_form(
    request: Request, caller: Identifier, settings: CurrentSettings, answers: Answers, rate: Rate
) -> Response:
    """What the form of ``/`` sends without JavaScript: leads to the saved answer, or to the list of them.

    Under ``/predict``, so that a body of photos is allowed.
    """
    check_origin(request)
    await rate.hit(subject_of(caller, request))
    with answers.admission.reading() as reservation:
        limits = UploadLimits(settings.max_batch_photos, settings.max_photo_bytes)
        upload = await read_upload(request, limits, reservation.grow)
        refuse_unknown((name for name, _ in upload.fields), FORM_FIELDS, "form field")
        photos = [photo for photo in upload.photos if photo.data]  # a field left empty is sent as b""
        together = ("together", "true") in upload.fields
        animals = _animals(photos, together)
        told = [(name, value) for name, value in upload.fields if name in ASKED_FIELDS and value]
        parameters = read_parameters([], told)
        asked = [replace(parameters.request(animal), caller=caller) for animal in animals]
        if len(asked) == 1:
            answer = IdentifyAnswer.model_validate_json(await answers.one(asked[0]))
            return RedirectResponse(f"/identifications/{answer.id}", 303)
        await rate.hit(subject_of(caller, request), cost=len(asked), counted=1)
        outcomes = await answers.many(asked)
    if any(isinstance(outcome, AppError) for outcome in outcomes):
        return _partly_answered(request, photos, outcomes)
    return RedirectResponse("/identifications", 303)


def _partly_answered(request: Request, photos: Sequence[SentPhoto], outcomes: Sequence[Outcome]) -> Response:
    """What was saved, and each photo that got no answer by its name: none of it may be lost among the others."""
    refused = [outcome for outcome in outcomes if isinstance(outcome, AppError)]
    num = len(outcomes) - len(refused)
    view = PartlyAnsweredView(
        title=f"{num} of {len(outcomes)} photos {'has' if num == 1 else 'have'} an answer"
        if num
        else f"None of the {len(outcomes)} photos has an answer",
        lede="What has an answer is saved, and need not be sent again." if num else "Nothing was saved.",
        records=tuple(_record(outcome) for outcome in outcomes if isinstance(outcome, str)),
        unanswered=tuple(
            UnansweredPhoto(photo.filename or f"photo {number}", outcome.detail)
            for number, (photo, outcome) in enumerate(zip(photos, outcomes, strict=True), start=1)
            if isinstance(outcome, AppError)
        ),
    )
    return render(request, view) if num else render(request, view, refused=refused[0])


def _record(saved: str) -> IdentificationRecord:
    return identification_record(IdentifyAnswer.model_validate_json(saved))


def _animals(sent: Sequence[SentPhoto], together: bool) -> list[tuple[bytes, ...]]:
    """Photos by animal. Raises InvalidField for none, or too many of one animal."""
    photos = [photo.data for photo in sent]
    if not photos:
        raise InvalidField.of("image", "choose at least one photo")
    if together and len(photos) > MAX_PHOTOS:
        raise InvalidField.of("image", f"at most {MAX_PHOTOS} photos of one animal")
    return [tuple(photos)] if together else [(photo,) for photo in photos]


@router.get("/identifications")
async def identifications_page(
    request: Request, caller: Identifier, session: Session, before: Annotated[UUID | None, Query()] = None
) -> Response:
    """What was identified, newest first; ``before`` is the last one of the page above.

    Reviewers and admins see everybody's, accounts their own, and who has none what was identified without one.
    """
    above = await identifications.by_id(session, before) if before else None
    if before and above is None:
        raise NotFound("There is no such identification.")
    rows = await identifications.newest(
        session,
        limit=PAGE_SIZE + 1,
        before=(above.created_at, above.id) if above else None,
        of_user="everybody" if caller.has_role(Role.REVIEWER) else caller.user_id,
    )
    shown = rows[:PAGE_SIZE]
    view = IdentificationsView(
        records=tuple(_record(row.response) for row in shown),
        newer_url="/identifications" if above else None,
        older_url=f"/identifications?before={shown[-1].id}" if len(rows) > PAGE_SIZE else None,
        lede=f"{_whose(caller)}, newest first.",
    )
    return render(request, view)


def _whose(caller: Caller) -> str:
    if caller.has_role(Role.REVIEWER):
        return "Every answer that was given"
    return "Your answers" if caller.user_id else "Every answer that was given to people without an account"


@router.get("/identifications/{identification_id}")
async def identification_page(
    request: Request,
    identification_id: UUID,
    caller: Identifier,
    session: Session,
    settings: CurrentSettings,
    fragment: Annotated[bool, Query()] = False,
) -> Response:
    """One answer; with ``fragment`` its plate alone, for the page that asked for it."""
    row = await identifications.by_id(session, identification_id)
    if row is None:
        raise NotFound("There is no such identification.")
    answer = IdentifyAnswer.model_validate_json(row.response)
    card = await _card_of(request.app.state.engine, session, settings, answer)
    view = identification_view(
        answer,
        names_by_label(card.taxa) if card else {},
        card.group_rule.sentence() if card else "",
        fragment=fragment,
        with_sighting=caller.sees_sighting_of(row.user_id),
    )
    return render_fragment(view) if fragment else render(request, view)


async def _card_of(
    engine: Engine, session: AsyncSession, settings: Settings, answer: IdentifyAnswer
) -> ModelCard | None:
    """The card of the bundle that answered, deployed or not; None when it is gone from the store."""
    for deployed in engine.deployed():
        if deployed.sha256 == answer.model.sha256:
            return deployed.card
    try:
        row = await registry.get_version(session, answer.model.name, answer.model.version)
        return (await papers_of(settings.store, row)).card
    except AppError:
        return None
