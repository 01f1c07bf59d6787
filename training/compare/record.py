"""What a comparison keeps of a finished run: small enough to commit, enough to compute every figure of the report.

Knows nothing of networks or of how a run was made. Legend: N images.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from training.config import RunConfig

RESULT = "result.json"

_COUNTS_CORES = re.compile(r", [\d,]+ cores?$")

Confidence = Annotated[float, PlainSerializer(lambda value: round(value, 4), when_used="json")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Predictions(_Frozen):
    """What a run said of one split, image by image in the data set's order: class places and calibrated confidence."""

    labels: tuple[int, ...]
    predicted: tuple[int, ...]
    confidence: tuple[Confidence, ...]

    @model_validator(mode="after")
    def _one_length(self) -> "Predictions":
        if not len(self.labels) == len(self.predicted) == len(self.confidence):
            raise ValueError("labels, predicted and confidence must be of one length")
        return self

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which images were named right [N]."""
        correct_N: NDArray[np.bool_] = np.array(self.predicted) == np.array(self.labels)
        return correct_N


class Cost(_Frozen):
    """What a run took. ``images_per_s`` counts training images of its own epochs; ``minutes`` is its training with that
    of its teachers, and ``finish_minutes`` what came after its epochs; memory is the peak of epochs and finish, of the
    process or of the GPU where there is one. ``shared_epochs``: the epochs were another run's of the same
    configuration, and only the finish is its own.
    """

    images_per_s: float
    minutes: float
    finish_minutes: float
    peak_memory_mib: float
    num_parameters: int
    shared_epochs: bool


class RunResult(_Frozen):
    """One finished run: what it was, on what, what it said of validation and test photos, and what it cost.

    ``temperature`` was fitted on validation; ``confidence`` is after it.
    """

    recipe: str
    backbone: str
    seed: int
    config: RunConfig
    data_sha256: str
    num_classes: Annotated[int, Field(ge=2)]
    temperature: float
    validation: Predictions
    test: Predictions
    cost: Cost
    command: str
    commit: str
    hardware: str
    environment: dict[str, str]

    @property
    def key(self) -> str:
        """What tells a run from the others of a comparison, fit for a folder's name."""
        return f"{self.recipe}-{self.backbone}-{self.seed}"

    @property
    def memory_of(self) -> Literal["process", "GPU"]:
        """Whose peak ``cost`` holds: only a processor is named with its cores."""
        return "process" if _COUNTS_CORES.search(self.hardware) else "GPU"


def write_result(result: RunResult, folder: Path) -> None:
    """Write ``result.json`` whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{RESULT}.part"
    part.write_text(result.model_dump_json() + "\n")
    part.replace(folder / RESULT)


def read_result(path: Path) -> RunResult:
    """Read a ``result.json``. Raises ValueError naming the file."""
    try:
        return RunResult.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a finished run's result: {error}") from error
