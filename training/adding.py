"""How is a species added without training? Fits the rule on a card with photos that were not trained on. Pure numpy.

It pretends of one trained species after the other that it was not, makes a prototype of a few of its training photos,
and counts which photos of the others this would take. The network did learn that species, so what the rule finds of it
here is too kind: ``training.judge_added`` judges with species that no network learnt.
Legend: N photos, C classes, D features, M photos of all pretended species together, T training photos.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.prototypes import AddingRule, class_centre, directions, prototype_mean, whitened
from training.inference import Answers
from training.unknown import Trained

NUM_PHOTOS = (1, 2, 5, 10, 20)
LOSS = 0.0005
"""What one added species may take of the photos that are named right: of twenty, one in a hundred together."""
MAX_SPECIES = 200
"""Species that are pretended to be new, drawn by lot: more take time and move the offsets little."""
_NEVER = 1e30

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


class ForAdding(NamedTuple):
    """What one network says: its scale, how many photos it was asked about, and the margins for each ``NUM_PHOTOS``.

    A margin is the best logit of the others less the score of a pretended species, of each photo of another species
    that is named right: an offset above it takes the photo. None where no species has so many photos.
    """

    scale: float
    num_images: int
    num_pretended: tuple[int, ...]
    margins: tuple[Floats | None, ...]


def try_adding(trained: Trained, known: Answers, labels_N: Labels, *, seed: int = 0) -> ForAdding:
    """Pretend on validation photos, whose classes are ``labels_N``."""
    space, centre_E = trained.space, class_centre(trained.space)
    white_NE = whitened(space, known.embeddings_ND) - centre_E
    scale = _spread(known.logits_NC) / _spread(white_NE @ directions(space.means_CE, centre_E).T)
    rng = np.random.default_rng(seed)
    pretended = rng.permutation(known.logits_NC.shape[1])[:MAX_SPECIES]
    places = {index: rng.permutation(np.flatnonzero(trained.labels_T == index)) for index in pretended}
    found: list[Floats | None] = []
    tried = []
    for num in NUM_PHOTOS:
        margins = []
        for index, own in places.items():
            if len(own) >= num:
                mean_E = prototype_mean(space, trained.embeddings_TD[own[:num]])
                score_N = scale * (white_NE @ directions(mean_E[None], centre_E)[0])
                margins.append(_margins(known.logits_NC, labels_N, int(index), score_N))
        found.append(np.concatenate(margins) if margins else None)
        tried.append(len(margins))
    return ForAdding(scale, len(labels_N), tuple(tried), tuple(found))


def _spread(logits_NC: Floats) -> float:
    """That of logits about each photo's mean, as ``training.discriminant.blend`` brings two heads together."""
    return max(float((logits_NC - logits_NC.mean(axis=1, keepdims=True)).std()), 1e-12)


def _margins(logits_NC: Floats, labels_N: Labels, index: int, score_N: Floats) -> Floats:
    without_NC = logits_NC.copy()
    without_NC[:, index] = -_NEVER
    right_N = without_NC.argmax(axis=1) == labels_N  # none of the pretended species is
    margin_M: Floats = without_NC.max(axis=1)[right_N] - score_N[right_N]
    return margin_M


def fit_adding(parts: Sequence[ForAdding], *, fitted_on: str, loss: float = LOSS) -> AddingRule | None:
    """The rule from what one network, or those of a cross-validation, say.

    An offset is the largest one that takes no more than ``loss`` of all photos for each pretended species. None where
    no photo was named right.
    """
    numbers, offsets = [], []
    for place, num in enumerate(NUM_PHOTOS):
        margins = [margin for part in parts if (margin := part.margins[place]) is not None]
        if not margins or not sum(map(len, margins)):
            continue
        asked = sum(part.num_pretended[place] * part.num_images for part in parts)
        margin_M = np.sort(np.concatenate(margins))
        allowed = min(int(loss * asked), len(margin_M) - 1)
        numbers.append(num)
        offsets.append(float(margin_M[allowed]))
    if not numbers:
        return None
    return AddingRule(
        scale=float(np.mean([part.scale for part in parts])),
        num_photos=tuple(numbers),
        offsets=tuple(offsets),
        loss=loss,
        fitted_on=fitted_on,
        num_images=sum(part.num_images for part in parts),
    )
