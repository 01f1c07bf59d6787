"""Several photos of one animal: how much better than one of them they are named. Pure numpy; no files.

N photos, M sightings (animals), K photos of each, C classes.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.decision import combine_photos
from models.differences import newcombe_paired
from models.evaluation import Estimate, Scope, SeveralPhotosGroup, SeveralPhotosReport
from models.groups import Group
from models.metrics import wilson
from models.trust import scopes

NUM_PHOTOS = (2, 3)


def draw_sightings(
    animals: Sequence[Hashable | None], num_photos: int, *, seed: int = 0
) -> NDArray[np.int64]:
    """Places of ``num_photos`` photos of one animal each, [M, K], no photo twice; what is left over stays out.

    None stands for a photo of which nobody knows whose it is.

    >>> draw_sightings(["a", "b", "a", None, "b", "c"], 2).shape
    (2, 2)
    """
    of: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, animal in enumerate(animals):
        if animal is not None:
            of[animal].append(place)
    rng = np.random.default_rng(seed)
    drawn: list[NDArray[np.int64]] = []
    for places in of.values():
        shuffled = rng.permutation(places)
        whole = len(places) // num_photos * num_photos
        drawn += list(shuffled[:whole].reshape(-1, num_photos))
    return np.array(drawn, dtype=np.int64).reshape(-1, num_photos)


def several_report(
    animal: Literal["session", "species"],
    sightings: Sequence[NDArray[np.float64]],
    labels_M: NDArray[np.int64],
    groups: Sequence[Group],
    *,
    by_embedding_MC: NDArray[np.float64] | None = None,
) -> SeveralPhotosReport:
    """Judge sightings, each the calibrated probabilities [K, C] of its photos. One photo: the first of each.

    by_embedding_MC: probabilities of each sighting from the mean of its embeddings. Raises ValueError for none.
    """
    if len(sightings) == 0:
        raise ValueError("no sighting to judge")
    combined_MC = np.stack([combine_photos(each_KC) for each_KC in sightings])
    single_M = np.array([each_KC[0].argmax() for each_KC in sightings]) == labels_M
    right_M = combined_MC.argmax(axis=1) == labels_M
    stated_M = combined_MC.max(axis=1)
    other_M = None if by_embedding_MC is None else by_embedding_MC.argmax(axis=1) == labels_M
    return SeveralPhotosReport(
        animal=animal,
        num_photos=len(sightings[0]),
        groups=tuple(
            _group(
                scope,
                single_M[member_M],
                right_M[member_M],
                float(stated_M[member_M].mean()),
                None if other_M is None else other_M[member_M],
            )
            for scope, member_M in scopes(groups, labels_M).items()
        ),
    )


def _group(
    scope: Scope,
    single_M: NDArray[np.bool_],
    right_M: NDArray[np.bool_],
    stated: float,
    other_M: NDArray[np.bool_] | None,
) -> SeveralPhotosGroup:
    both, only, lost = right_M & single_M, right_M & ~single_M, ~right_M & single_M
    counts = [int(which.sum()) for which in (both, only, lost, ~right_M & ~single_M)]
    return SeveralPhotosGroup(
        group=scope,
        num_animals=len(right_M),
        single=_proportion(single_M),
        combined=_proportion(right_M),
        gain=float(right_M.mean() - single_M.mean()),
        gain_interval=newcombe_paired(*counts),
        stated=stated,
        by_embedding=None if other_M is None else _proportion(other_M),
    )


def _proportion(hit_N: NDArray[np.bool_]) -> Estimate:
    return Estimate(value=float(hit_N.mean()), interval=wilson(int(hit_N.sum()), len(hit_N)))
