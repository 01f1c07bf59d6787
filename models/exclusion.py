"""What an answer commits to where a checklist rules out what the photo shows. Pure numpy.

C classes. A list says what lives somewhere, not what a photo shows: it can tell species apart that are alike, but it
cannot turn a plain photo of one into a sure answer of another.
"""

import numpy as np
from numpy.typing import NDArray

from models.decision import Decision, RollUp, percent

RULED_OUT = 1e-3
"""A species that counts for less than this beside the mean of the expected ones is as good as excluded."""

MOST = 0.5


def ruled_out(target_C: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which classes a list's prior excludes, or as good as excludes; bool [C].

    Beside the mean of those that count at all, so that thousands of tiny weights do not make themselves expected.

    >>> ruled_out(np.array([0.5, 0.5, 0.0])).tolist(), ruled_out(np.array([0.5, 0.495, 0.005])).tolist()
    ([False, False, True], [False, False, False])
    """
    largest = float(target_C.max())
    mean = float(target_C[target_C >= RULED_OUT * largest].mean())
    out_C: NDArray[np.bool_] = target_C < RULED_OUT * mean
    return out_C


def contradicts(
    before_C: NDArray[np.float64], after_C: NDArray[np.float64], out_C: NDArray[np.bool_]
) -> bool:
    """Whether what a list rules out held most of the probability without it, and the answer is now another.

    >>> before, after = np.array([0.9, 0.1]), np.array([0.0, 1.0])
    >>> contradicts(before, after, np.array([True, False])), contradicts(after, after, np.array([True, False]))
    (True, False)
    """
    return float(before_C[out_C].sum()) > MOST and not out_C[int(after_C.argmax())]


def decide_against_list(
    rollup: RollUp, before_C: NDArray[np.float64], out_C: NDArray[np.bool_], reliability: float
) -> Decision:
    """The decision where a list contradicts the photo: never a species.

    A genus or family that the photo itself makes sure, if the list expects one of its species; else nothing. Its
    probability is the photo's, without the list: that is what was calibrated.
    """
    named = rollup.taxa[int(before_C.argmax())]
    excluded = float(before_C[out_C].sum())
    shown = (
        f"The checklist rules out what the photo shows (most likely {named.display_name}, "
        f"{percent(float(before_C.max()))} without the list; all that it rules out: {percent(excluded)}), "
        "so no species is named"
    )
    for above in rollup.lineage(named):
        total = float(before_C[above.members].sum())
        if total >= reliability and not out_C[above.members].all():
            return Decision(
                above.rank,
                above.taxon,
                min(total, 1.0),
                f"{shown}. The {above.rank} {above.name}, of which the list expects species, is {percent(total)} "
                "probable without it.",
            )
    return Decision(
        "unknown",
        None,
        None,
        f"{shown}. Either the list does not fit this place and date, or the "
        "animal is a rare guest, or the model errs.",
    )
