"""What a cross-validation found, as a file, and which run it is to be read by."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.card import Calibration
from models.conformal import ConformalTable
from models.metrics import Evaluation
from models.predictions import Predictions
from models.prototypes import AddingRule
from models.scaling import CountScaling
from models.unknown import UnknownRule
from models.views import Views
from training.trust import Fitted

RESULT = "crossval.json"
FITTED_ON = "photos that cross-validation's networks did not train on"


class CrossValidation(BaseModel):
    """What a cross-validation found. ``temperature``, ``scaling``, ``conformal``, ``unknown`` and ``adding`` are
    fitted on all its photos, for the weights that ship; the evaluation's own answers of a fold use what was fitted on
    the other folds alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    data_sha256: str
    temperature: float
    scaling: CountScaling | None = None
    conformal: tuple[ConformalTable, ...] = ()
    unknown: UnknownRule | None = None
    adding: AddingRule | None = None
    num_images: int
    views: Views = "one"
    post_hoc_tau: float | None = None
    """What was taken of the prior from every network's logits, where that was to be chosen; they have it in them."""
    mean: bool = False
    """Whether the folder is a run as well: the mean of the networks, which has learnt from every fold."""
    evaluation: Evaluation
    predictions: Predictions = ()
    """Of each photo by the network that never saw it; none in results from before this was kept."""

    @property
    def fitted(self) -> Fitted:
        """How the network that ships is read."""
        calibration = Calibration(
            temperature=self.temperature,
            scaling=self.scaling,
            fitted_on=FITTED_ON,
            num_images=self.num_images,
        )
        return Fitted(calibration, self.conformal)


def read_cross_validation(folder: Path) -> CrossValidation:
    """The result that ``cross_validate`` wrote. Raises ValueError naming the folder."""
    try:
        return CrossValidation.model_validate(json.loads((folder / RESULT).read_text()))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: not a finished cross-validation: {error}") from error


def cross_validation_of(run: Path, given: Path | None = None) -> CrossValidation | None:
    """The cross-validation that a run is to be read by: the one ``given``, or its own where the run is a mean of its
    networks; None for any other run.

    Raises ValueError for a given one whose mean is another run, since its networks saw what that run's did not.
    """
    found = read_cross_validation(given) if given else None
    own = read_cross_validation(run) if (run / RESULT).exists() else None
    if found is not None and found.mean and found != own:
        raise ValueError(f"{given}: judges its own mean and no other network; export {given} itself")
    if own is not None and not own.mean:
        raise ValueError(f"{run}: is a cross-validation without a network of its own; make one with --mean")
    return found or own
