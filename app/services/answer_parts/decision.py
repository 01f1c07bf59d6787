"""What an answer commits to, and why it names nothing where it does not. Values only."""

from typing import Annotated

from pydantic import Field

from app.services.answer_parts.base import AnswerPart, Probability
from models.decision import DecisionKind
from models.photo_faults import PhotoFault
from models.taxonomy import Taxon
from models.unknown_kind import UnknownKind


class UnknownAnswer(AnswerPart):
    """Why nothing is named, with the figures that say so."""

    kind: Annotated[
        UnknownKind,
        Field(
            description="`not_a_moth`, `unknown_moth` (a moth that this model does not know), `unclear` (not a known "
            "species; a moth or not cannot be told), `poor_photo`, `excluded` (the checklist rules out what the photo "
            "shows), or `undecided` (like known species, none is sure)."
        ),
    ]
    score: Annotated[
        float | None,
        Field(
            description="The model's score for unknown things, mean over the photos; null for models without one."
        ),
    ]
    threshold: Annotated[
        float | None, Field(description="Above it a photo that is named a species of this group is unknown.")
    ]
    false_rejection: Annotated[
        Probability | None,
        Field(description="Share of photos of known species that are above the threshold, by its fitting."),
    ]
    faults: Annotated[
        tuple[tuple[PhotoFault, ...], ...],
        Field(description="Faults of each photo, in their order: what was measured and its limit."),
    ]


class DecisionAnswer(AnswerPart):
    """What the answer commits to: the lowest rank that reaches the asked reliability, or ``unknown``."""

    kind: DecisionKind
    reason: Annotated[str, Field(description="One sentence: why this rank and not a lower one.")]
    taxon: Taxon | None
    probability: Annotated[
        Probability | None,
        Field(description="Calibrated probability that `taxon` is right; null for unknown."),
    ]
    unknown: Annotated[
        UnknownAnswer | None,
        Field(
            description="Where `kind` is `unknown`: why. Null else, and in answers from before it was told."
        ),
    ] = None
