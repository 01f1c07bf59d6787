"""Is it known at all? Asks the model's rule, measures the photos of what is not named. Pure: it saves nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.inference.decode_process import DecodedPhoto
from app.services.answer_parts.decision import UnknownAnswer
from models.decision import Decision
from models.photo_faults import PhotoFault, photo_faults
from models.unknown import UnknownJudge
from models.unknown_kind import with_unknown


def settle_unknown(
    judge: UnknownJudge | None,
    decided: Decision,
    logits: NDArray[np.float32],
    embeddings: NDArray[np.float32],
    named: int,
    photos: Sequence[DecodedPhoto],
    *,
    excluded: bool = False,
) -> tuple[Decision, UnknownAnswer | None]:
    """The decision, and where nothing is named what kind of unknown it is; a model without a rule says less.

    logits [N, C] and embeddings [N, D] of N photos of one animal, which is together most likely ``named``.
    ``excluded``: a checklist rules out what they show.
    """
    found = None if judge is None else judge.judge(logits, embeddings, named)
    if decided.kind != "unknown" and (found is None or found.verdict == "known"):
        return decided, None
    faults = [_faults(photo) for photo in photos]
    settled, kind = with_unknown(
        decided, "known" if found is None else found.verdict, faults, excluded=excluded
    )
    assert kind is not None  # what is named and known has been answered above
    return settled, UnknownAnswer(
        kind=kind,
        score=None if found is None else found.value,
        threshold=None if found is None else found.threshold,
        false_rejection=None if judge is None else judge.rule.false_rejection,
        faults=tuple(faults),
    )


def _faults(photo: DecodedPhoto) -> tuple[PhotoFault, ...]:
    return photo_faults(photo.pixels, width_px=photo.info.width_px, height_px=photo.info.height_px)
