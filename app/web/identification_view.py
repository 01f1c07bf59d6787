"""A saved answer -> the view of its plate and its page. Every word about trust is chosen here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from app.services.answer_parts.decision import DecisionAnswer
from app.services.answer_parts.photos import ImageAnswer
from app.services.answer_parts.species import Evidence, Prediction
from app.services.answers import IdentifyAnswer
from app.web.caution_words import caution_words
from app.web.explanation_view import (
    ChecklistUseView,
    ExplanationView,
    checklist_use_view,
    exchanged_view,
    explanation_view,
)
from app.web.formatting import added_words, interval_words, share
from app.web.naming import names_of, taxon_name
from app.web.set_view import SetView, set_view
from app.web.unknown_words import no_list_words, unknown_words
from app.web.views import IdentificationRecord, TaxonName
from models.decision import percent
from models.groups import Group
from models.words import count_words

PHOTO_WARNINGS = {
    "small": "is smaller than what the model looks at",
    "dark": "is very dark",
    "blurred": "is blurred",
}

AT_ODDS = "The photos do not agree on the time or the place: they may not show one animal."


@dataclass(frozen=True)
class PhotoView:
    """One photo of the animal, as it was kept for viewing."""

    url: str
    alt: str
    width_px: int
    height_px: int


@dataclass(frozen=True)
class CandidateView:
    """One label that the animal may be, with what is known of how well the model finds it."""

    name: TaxonName
    percent: float
    probability: str
    group: Group
    training: str
    recall: str
    precision: str | None
    confused_with: tuple[TaxonName, ...]
    named_as: tuple[tuple[TaxonName, str], ...]
    given_to: tuple[tuple[TaxonName, str], ...]
    without_checklist: str | None


@dataclass(frozen=True)
class IdentificationView:
    """``/identifications/{id}``, and the plate alone as a fragment of ``/``."""

    template: ClassVar[str] = "identification.html"

    id: str
    title: str
    created_at: datetime
    model: str
    version: str
    epoch: int
    photos: tuple[PhotoView, ...]
    photo_notes: tuple[str, ...]
    standing: Literal["named", "unsure", "unnamed"]
    eyebrow: str
    name: TaxonName
    percent: float | None
    probability: str | None
    meaning: str
    reason: str
    warning_title: str | None
    warning: str | None
    best: CandidateView | None
    candidates_title: str
    candidates: tuple[CandidateView, ...]
    set: SetView
    group_rule: str
    checklist: ChecklistUseView | None
    explanation: ExplanationView | None
    announcement: str


@dataclass(frozen=True)
class PlateView(IdentificationView):
    """The plate without its page."""

    template: ClassVar[str] = "_plate.html"


def identification_view(
    answer: IdentifyAnswer,
    known: Mapping[str, TaxonName],
    group_rule: str,
    *,
    fragment: bool = False,
    with_sighting: bool = False,
) -> IdentificationView:
    """View of an answer. ``known``: names of the species list, for labels that the answer only mentions.

    ``with_sighting``: with what request and photos say of time and place, for who ``sees_sighting_of`` it.
    """
    candidates = tuple(_candidate(prediction, known) for prediction in answer.predictions)
    named = answer.decision.kind == "species"
    contradicted = answer.checklist is not None and answer.checklist.contradicts_photo
    name = _heading(answer.decision)
    warning_title, warning = caution_words(answer)
    kind = PlateView if fragment else IdentificationView
    return kind(
        id=str(answer.id),
        title=f"{name.text}, identification",
        created_at=answer.created_at,
        model=answer.model.name,
        version=answer.model.version,
        epoch=answer.model.epoch,
        photos=_photos(answer, name.text),
        photo_notes=(*_photo_notes(answer.images), *_disagreements(answer, with_sighting)),
        standing=_standing(answer.decision),
        eyebrow=_eyebrow(answer.decision),
        name=name,
        percent=None if answer.decision.probability is None else 100 * answer.decision.probability,
        probability=_chance(answer.decision),
        meaning=_meaning(answer.decision),
        reason=answer.decision.reason,
        warning_title=warning_title,
        warning=warning,
        best=candidates[0] if named and candidates else None,
        candidates_title=_candidates_title(named=named, contradicted=contradicted),
        candidates=candidates[1:] if named else candidates,
        set=set_view(
            answer.prediction_set,
            known,
            no_list_words(answer.decision),
            contradicted=contradicted,
            best=answer.predictions[0].probability if answer.predictions else None,
        ),
        group_rule=group_rule,
        checklist=checklist_use_view(answer.checklist, with_sighting=with_sighting),
        explanation=explanation_view(answer, known),
        announcement=_announcement(answer.decision, name),
    )


def identification_record(answer: IdentifyAnswer) -> IdentificationRecord:
    """The entry of an answer in a list."""
    name = _heading(answer.decision)
    chance = _chance(answer.decision)
    rank = _eyebrow(answer.decision)
    return IdentificationRecord(
        id=str(answer.id),
        created_at=answer.created_at,
        name=name.text,
        italic=name.italic,
        common_name=name.common,
        certainty=rank if chance is None else f"{rank}, {chance}",
        model=f"{answer.model.name} {answer.model.version}",
        photo_url=f"/photos/{answer.id}/0",
    )


def _photos(answer: IdentifyAnswer, name: str) -> tuple[PhotoView, ...]:
    num = len(answer.images)
    return tuple(
        PhotoView(
            url=f"/photos/{answer.id}/{position}",
            alt=f"Photo {position + 1} of {num} of the animal ({name})" if num > 1 else f"The photo ({name})",
            width_px=image.width_px,
            height_px=image.height_px,
        )
        for position, image in enumerate(answer.images)
    )


def _photo_notes(images: tuple[ImageAnswer, ...]) -> tuple[str, ...]:
    return tuple(
        f"{'The photo' if len(images) == 1 else f'Photo {position}'} {PHOTO_WARNINGS[warning]}."
        for position, image in enumerate(images, start=1)
        for warning in image.warnings
    )


def _disagreements(answer: IdentifyAnswer, with_sighting: bool) -> tuple[str, ...]:
    return answer.disagreements if with_sighting else (AT_ODDS,) * bool(answer.disagreements)


def _heading(decision: DecisionAnswer) -> TaxonName:
    if decision.taxon is None:
        return TaxonName(unknown_words(decision).heading, italic=False)
    return taxon_name(decision.taxon)


def _standing(decision: DecisionAnswer) -> Literal["named", "unsure", "unnamed"]:
    if decision.kind == "species":
        return "named"
    return "unnamed" if decision.kind == "unknown" else "unsure"


def _eyebrow(decision: DecisionAnswer) -> str:
    if decision.taxon is None:
        return "No identification"
    if decision.kind == "species":
        return "Species group" if decision.taxon.taxon_rank == "aggregate" else "Species"
    return f"Named to {decision.kind} only"


def _chance(decision: DecisionAnswer) -> str | None:
    return None if decision.probability is None else percent(decision.probability)


def _meaning(decision: DecisionAnswer) -> str:
    """What the probability is, in a sentence that holds."""
    if decision.probability is None:
        return ""
    times = percent(min(0.99, max(0.01, decision.probability)))
    return f"Calibrated probability: of answers that say {times}, about {times} should be right."


def _candidates_title(*, named: bool, contradicted: bool) -> str:
    if contradicted:
        return "What the checklist leaves, not identifications"
    return "Next candidates" if named else "Best guesses, not identifications"


def _candidate(prediction: Prediction, known: Mapping[str, TaxonName]) -> CandidateView:
    return CandidateView(
        name=taxon_name(prediction.taxon),
        percent=100 * prediction.probability,
        probability=percent(prediction.probability),
        group=prediction.group,
        training=count_words(
            prediction.training_count, "training image" if prediction.added_from is None else "photo"
        ),
        recall=_recall(prediction.evidence)
        if prediction.added_from is None
        else added_words(prediction.added_from),
        precision=_precision(prediction.evidence),
        confused_with=names_of(prediction.evidence.confused_with, known),
        named_as=exchanged_view(prediction.evidence.named_as, known),
        given_to=exchanged_view(prediction.evidence.given_to, known),
        without_checklist=None
        if prediction.probability_without_checklist is None
        else percent(prediction.probability_without_checklist),
    )


def _recall(evidence: Evidence) -> str:
    if evidence.recall is None or evidence.recall_interval is None:
        return "recall not measured: no test photos"
    found = round(evidence.recall * evidence.num_test_images)
    words = f"recall {share(evidence.recall)} ({interval_words(evidence.recall_interval)})"
    return f"{words}, found in {found} of {count_words(evidence.num_test_images, 'test photo')}"


def _precision(evidence: Evidence) -> str | None:
    if evidence.precision is None or evidence.precision_interval is None or not evidence.num_predicted:
        return None
    right = round(evidence.precision * evidence.num_predicted)
    words = f"precision {share(evidence.precision)} ({interval_words(evidence.precision_interval)})"
    times = count_words(evidence.num_predicted, "time", "times")
    return f"{words}, right {right} of the {times} that the model gave this name in the test"


def _announcement(decision: DecisionAnswer, name: TaxonName) -> str:
    """What a screen reader says when the answer arrives."""
    if decision.probability is None:
        return unknown_words(decision).spoken
    common = f", {name.common}" if name.common else ""
    return f"{_eyebrow(decision)}: {name.text}{common}, {percent(decision.probability)} probable."
