"""What an identification answers, as it is sent, saved and shown. Values only; field names are Darwin Core's.

Every ``probability`` is a calibrated one, in 0 to 1; a raw model output is a ``score``, never a probability.
"""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.conformal import SetScore
from models.decision import DecisionKind
from models.evidence import NOTHING, Exchanged
from models.groups import Group
from models.metrics import SpeciesMetrics
from models.photo_faults import PhotoFault
from models.photo_quality import PhotoWarning
from models.taxonomy import Taxon
from models.unknown_kind import UnknownKind

Probability = Annotated[float, Field(ge=0, le=1)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AnsweringModel(_Answer):
    """Which bundle answered. ``epoch`` counts the promotions of this model."""

    name: str
    version: str
    sha256: str
    epoch: int


class UnknownAnswer(_Answer):
    """Why nothing is named, with the figures that say so."""

    kind: Annotated[
        UnknownKind,
        Field(
            description="`not_a_moth`, `unknown_moth` (a moth that this model does not know), `unclear` (not a known "
            "species; a moth or not cannot be told), `poor_photo`, or `undecided` (like known species, none is sure)."
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


class DecisionAnswer(_Answer):
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


class Confusion(_Answer):
    """A species that another one was exchanged with on the test images."""

    label: str
    num_images: Annotated[int, Field(description="Test images that were exchanged in this direction.")]


class Evidence(_Answer):
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


class Prediction(_Answer):
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
    added_from: Annotated[
        int | None,
        Field(
            description="Photos that it was added from without training, so not tested; null for a trained one."
        ),
    ] = None
    probability_without_checklist: Annotated[
        Probability | None, Field(description="Before the checklist; null where none was applied.")
    ] = None


class SetTaxon(_Answer):
    """A member of the prediction set."""

    label: str
    scientific_name: str | None


class PredictionSet(_Answer):
    """The labels to keep in mind, the most probable first, and what is promised of them."""

    coverage: Annotated[Probability, Field(description="How often the right species is to be in the set.")]
    promised: Annotated[
        bool,
        Field(
            description="Whether `coverage` is promised: by split conformal prediction, over photos like those it was "
            "fitted on. If not, `taxa` is the smallest set whose probabilities sum to `coverage`, or the promise "
            "does not reach this request; `promise` says which."
        ),
    ] = False
    promise: Annotated[str, Field(description="What is promised, in a sentence.")] = ""
    score: Annotated[
        SetScore | None,
        Field(
            description="How labels are ranked for the set: `prevalence` keeps the mean over species up where "
            "frequent and rare ones are mixed. Null for a set by summed probability."
        ),
    ] = None
    num_calibration_images: Annotated[
        int | None, Field(description="Photos that the set was fitted on. Null where it was not.")
    ] = None
    num_without_promise: Annotated[
        int,
        Field(
            description="Species that were added without training, after the set was fitted: nothing is promised for "
            "photos of these. `coverage` is kept for the others."
        ),
    ] = 0
    everything: Annotated[
        bool,
        Field(
            description="There were too few such photos for a smaller set: it is the whole species list, and `taxa` "
            "is left empty."
        ),
    ] = False
    macro_coverage: Annotated[
        Probability | None,
        Field(
            description="Measured on test photos at this coverage, mean over species. Null where not measured."
        ),
    ] = None
    macro_coverage_interval: Annotated[
        tuple[Probability, Probability] | None, Field(description="95% interval of `macro_coverage`.")
    ] = None
    taxa: tuple[SetTaxon, ...]


class ImageAnswer(_Answer):
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


class ListedName(_Answer):
    """A species, and what a list did to it."""

    label: str
    scientific_name: str | None
    probability_without_checklist: Probability
    probability_with_checklist: Probability


class ChecklistUse(_Answer):
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
    reason: Annotated[str, Field(description="What the list did, in a sentence or two.")]


class NearestImage(_Answer):
    """A training image near to the photo."""

    label: str
    scientific_name: str | None = None
    similarity: Annotated[float, Field(ge=-1, le=1, description="Cosine of the two embeddings.")]
    reference: Annotated[
        str | None, Field(description="Where the image comes from: its path or address in the training data.")
    ] = None
    thumbnail_jpeg_base64: Annotated[
        str | None, Field(description="Small JPEG, only where the data's licence lets images be shown.")
    ] = None


class Explanation(_Answer):
    """Where the model looked, for the first photo, and which training images are like it."""

    heatmap_png_base64: Annotated[
        str, Field(description="PNG: the model's own view of the photo, with the heat laid over it.")
    ]
    heatmap_method: Annotated[str, Field(description="What the heat is, in one sentence.")]
    nearest: Annotated[
        tuple[NearestImage, ...],
        Field(description="Nearest training images; empty where the bundle carries none."),
    ] = ()
    nearest_method: Annotated[
        str | None, Field(description="What nearest means, or why there are none, in a sentence.")
    ] = None


class IdentifyAnswer(_Answer):
    """One answer about one animal, as sent and saved."""

    id: UUID
    created_at: datetime
    model: AnsweringModel
    decision: DecisionAnswer
    predictions: Annotated[tuple[Prediction, ...], Field(description="The `top_k` labels, best first.")]
    prediction_set: PredictionSet
    images: tuple[ImageAnswer, ...]
    explanation: Explanation | None
    checklist: Annotated[
        ChecklistUse | None,
        Field(description="The checklist that held; null where none did or the request refused it."),
    ] = None
