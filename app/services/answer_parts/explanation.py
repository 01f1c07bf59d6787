"""Where the model looked, and what the photo is like. Values only."""

from typing import Annotated

from pydantic import Field

from app.services.answer_parts.base import AnswerPart


class NearestImage(AnswerPart):
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


class Explanation(AnswerPart):
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
