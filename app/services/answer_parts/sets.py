"""The few species that it can be, and what is promised of them. Values only."""

from typing import Annotated

from pydantic import Field

from app.services.answer_parts.base import AnswerPart, Probability
from models.conformal import SetScore
from models.groups import Group


class SetTaxon(AnswerPart):
    """A member of the prediction set."""

    label: str
    scientific_name: str | None


class PredictionSet(AnswerPart):
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
            description="How labels are ranked for the set: `group` keeps the promise for head, middle and tail each, "
            "`prevalence` keeps the mean over species up where frequent and rare ones are mixed. Null for a set by "
            "summed probability."
        ),
    ] = None
    num_calibration_images: Annotated[
        int | None, Field(description="Photos that the set was fitted on. Null where it was not.")
    ] = None
    promised_groups: Annotated[
        tuple[Group, ...],
        Field(description="Groups of species for whose photos by themselves `coverage` is promised."),
    ] = ()
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
