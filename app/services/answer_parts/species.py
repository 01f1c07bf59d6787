"""One species of an answer: how likely it is, and how the model did on test photos of it. Values only."""

from typing import Annotated

from pydantic import Field

from app.services.answer_parts.base import AnswerPart, Probability
from models.evidence import NOTHING, Exchanged
from models.groups import Group
from models.metrics import SpeciesMetrics
from models.taxonomy import Taxon

AddedFrom = Annotated[
    int | None,
    Field(
        description="Photos that it was added from without training, so not tested; null for a trained one."
    ),
]


class Confusion(AnswerPart):
    """A species that another one was exchanged with on the test images."""

    label: str
    num_images: Annotated[int, Field(description="Test images that were exchanged in this direction.")]


class Evidence(AnswerPart):
    """How this species did on the test images of the bundle. Null where there were none: never 0."""

    recall: Annotated[
        Probability | None, Field(description="Share of its test images that were named right.")
    ]
    recall_interval: Annotated[
        tuple[Probability, Probability] | None, Field(description="95% Wilson interval of the recall.")
    ]
    precision: Annotated[
        Probability | None, Field(description="Share of images given this name that had it.")
    ]
    precision_interval: Annotated[
        tuple[Probability, Probability] | None, Field(description="95% Wilson interval of the precision.")
    ] = None
    num_predicted: Annotated[int | None, Field(description="Test images that were given this name.")] = None
    num_test_images: int
    confused_with: Annotated[
        tuple[str, ...],
        Field(description="Labels it was exchanged with, in either direction, most often first."),
    ]
    named_as: Annotated[
        tuple[Confusion, ...],
        Field(description="Names that test images of this species got instead of its own, most often first."),
    ] = ()
    given_to: Annotated[
        tuple[Confusion, ...],
        Field(description="Species whose test images were given this name, most often first."),
    ] = ()

    @classmethod
    def of(cls, metrics: SpeciesMetrics, exchanged: Exchanged = NOTHING) -> "Evidence":
        """The evidence that a bundle's evaluation holds for one species."""
        return cls(
            recall=metrics.recall.value if metrics.recall else None,
            recall_interval=metrics.recall.interval if metrics.recall else None,
            precision=metrics.precision.value if metrics.precision else None,
            precision_interval=metrics.precision.interval if metrics.precision else None,
            num_predicted=metrics.num_predicted,
            num_test_images=metrics.num_test_images,
            confused_with=metrics.confused_with,
            named_as=tuple(Confusion(label=label, num_images=num) for label, num in exchanged.named_as),
            given_to=tuple(Confusion(label=label, num_images=num) for label, num in exchanged.given_to),
        )


class Prediction(AnswerPart):
    """One label of the species list, with how likely it is and how far that can be trusted."""

    taxon: Taxon
    probability: Annotated[
        Probability, Field(description="Temperature-scaled softmax over the species list.")
    ]
    score: Annotated[
        float, Field(description="Raw model output (logit), mean over the photos. Not a probability.")
    ]
    group: Annotated[Group, Field(description="By the number of training images alone.")]
    training_count: int
    evidence: Evidence
    added_from: AddedFrom = None
    probability_without_checklist: Annotated[
        Probability | None, Field(description="Before the checklist; null where none was applied.")
    ] = None
