"""A temperature that depends on how often the named species was trained on: values and the formula, nothing fitted.

N photos, C classes.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

SCALE_RANGE = (0.05, 20.0)
"""No extrapolation may make a softmax flatter or sharper than this."""


class CountScaling(BaseModel):
    """Temperature ``exp(intercept + slope * log n)`` for a photo whose most probable label has n training images.

    One temperature for each photo leaves the order of its labels as it is. ``nll_gain`` is what it gains over one
    temperature in cross-validation: negative log-likelihood per photo, with its standard error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    intercept: float
    slope: float
    nll_gain: float
    nll_gain_error: Annotated[float, Field(ge=0)]


def count_temperatures(
    intercept: float,
    slope: float,
    logits_NC: NDArray[np.float64],
    training_counts: Sequence[int] | NDArray[np.int64],
) -> NDArray[np.float64]:
    """Temperature of each photo [...] from logits [..., C]. A label with a count of 0 was not trained: the most
    probable of the others says the temperature, as it did where that was fitted.

    >>> count_temperatures(0.0, 0.5, np.array([[2.0, 1.0], [1.0, 2.0]]), (4, 1)).tolist()
    [2.0, 1.0]
    >>> count_temperatures(0.0, 0.5, np.array([[2.0, 1.0, 9.0]]), (4, 1, 0)).tolist()
    [2.0]
    """
    count_C = np.asarray(training_counts)
    if not count_C.all():
        logits_NC = np.where(count_C > 0, logits_NC, -np.inf)
    count_N = count_C[logits_NC.argmax(axis=-1)]
    temperature_N: NDArray[np.float64] = np.exp(intercept + slope * np.log(count_N))
    return np.clip(temperature_N, *SCALE_RANGE)
