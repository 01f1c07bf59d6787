"""The checklist that held for an answer, and what it changed. Values only."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from app.services.answer_parts.base import AnswerPart, Probability


class ListedName(AnswerPart):
    """A species, and what a list did to it."""

    label: str
    scientific_name: str | None
    probability_without_checklist: Probability
    probability_with_checklist: Probability


class ChecklistUse(AnswerPart):
    """The checklist that held for this answer, and what it changed."""

    id: UUID
    name: str
    revision: Annotated[int, Field(description="Lists are immutable; each replacement is one more.")]
    basis: Annotated[
        Literal["place", "season", "name"],
        Field(
            description="Why: the photo lies in its circle, the photo has a date, or the request names it."
        ),
    ]
    week: Annotated[
        int | None, Field(description="ISO week of the photo; null: every week of the list counts.")
    ]
    applied: Annotated[
        bool, Field(description="False where the list expects no species of the model in that week.")
    ]
    num_expected: Annotated[int, Field(description="Species of the model that it expects then.")]
    prior_power_removed: Annotated[
        float,
        Field(
            description="Power of the training count that was taken out: 0, 0.5 or 1, by the card's `logit_prior`."
        ),
    ]
    top_before: ListedName
    top_after: ListedName
    probability_ruled_out: Annotated[
        Probability | None,
        Field(
            description="Together, without the list, of all species that it rules out; null where it changed nothing."
        ),
    ] = None
    contradicts_photo: Annotated[
        bool,
        Field(
            description="It rules out what held most of the probability without it. No species is decided then, and "
            "`decision.probability` is without the list."
        ),
    ] = False
    reason: Annotated[str, Field(description="What the list did, in a sentence or two.")]
