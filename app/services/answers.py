"""What an identification answers, as it is sent, saved and shown. Values only."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.services.answer_parts.base import AnswerPart
from app.services.answer_parts.checklist import ChecklistUse
from app.services.answer_parts.decision import DecisionAnswer
from app.services.answer_parts.explanation import Explanation
from app.services.answer_parts.photos import ImageAnswer
from app.services.answer_parts.sets import PredictionSet
from app.services.answer_parts.species import Prediction


class AnsweringModel(AnswerPart):
    """Which bundle answered. ``epoch`` counts the promotions of this model."""

    name: str
    version: str
    sha256: str
    epoch: int


class IdentifyAnswer(AnswerPart):
    """One answer about one animal, as sent and saved."""

    id: UUID
    created_at: datetime
    model: AnsweringModel
    decision: DecisionAnswer
    predictions: Annotated[tuple[Prediction, ...], Field(description="The `top_k` labels, best first.")]
    prediction_set: PredictionSet
    images: tuple[ImageAnswer, ...]
    disagreements: Annotated[
        tuple[str, ...],
        Field(
            description="What the photos' own dates and places do not agree on, in sentences: they may not show one "
            "animal. A checklist is chosen by what they agree on; what the request says goes before."
        ),
    ] = ()
    explanation: Explanation | None
    checklist: Annotated[
        ChecklistUse | None,
        Field(description="The checklist that held; null where none did or the request refused it."),
    ] = None
