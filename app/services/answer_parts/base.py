"""What all parts of an answer share.

Every ``probability`` is a calibrated one, in 0 to 1; a raw model output is a ``score``, never a probability.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]


class AnswerPart(BaseModel):
    """A value that does not change and knows all its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
