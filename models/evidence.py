"""What a species was exchanged with on the test photos, in both directions, looked up by label. Pure."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from models.evaluation import Evaluation

MOST = 3
"""Species named in each direction: who reads more than three look-alikes?"""


class Exchanged(NamedTuple):
    """``named_as``: names that photos of this species got instead of its own. ``given_to``: species whose photos got
    its name. Both with the number of photos, most first.
    """

    named_as: tuple[tuple[str, int], ...] = ()
    given_to: tuple[tuple[str, int], ...] = ()


Confusions: TypeAlias = Mapping[str, Exchanged]
"""By label; one that was never exchanged is left out."""

NOTHING = Exchanged()


def confusions_by_label(evaluation: Evaluation) -> Confusions:
    """The confusions of an evaluation, by label. It takes time with thousands of species: once a bundle.

    Ties are in the order of the evaluation.
    """
    named_as: dict[str, list[tuple[str, int]]] = {}
    given_to: dict[str, list[tuple[str, int]]] = {}
    for pair in evaluation.confusions:
        named_as.setdefault(pair.true, []).append((pair.predicted, pair.num_images))
        given_to.setdefault(pair.predicted, []).append((pair.true, pair.num_images))
    return {
        label: Exchanged(_most(named_as.get(label, [])), _most(given_to.get(label, [])))
        for label in sorted({*named_as, *given_to})
    }


def _most(found: list[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(found, key=lambda each: -each[1])[:MOST])
