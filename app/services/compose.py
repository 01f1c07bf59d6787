"""A model's outputs for one animal -> the answer. Pure: it runs nothing and saves nothing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from app.inference.decode_process import DecodedPhoto
from app.inference.engine import DeployedModel
from app.services.answer_parts.decision import DecisionAnswer
from app.services.answer_parts.explanation import Explanation
from app.services.answer_parts.photos import ImageAnswer
from app.services.answer_parts.species import Evidence, Prediction
from app.services.answers import AnsweringModel, IdentifyAnswer
from app.services.checklist_choice import Chosen, apply_checklist
from app.services.prediction_sets import prediction_set
from app.services.sighting import Sighting
from app.services.unknown import settle_unknown
from models import decision
from models.evidence import NOTHING
from models.exclusion import decide_against_list
from models.target_prior import Matched


@dataclass(frozen=True)
class SeenPhoto:
    """A photo as it was sent, and as it was decoded."""

    data: bytes
    decoded: DecodedPhoto


def compose(
    identification_id: UUID,
    created_at: datetime,
    deployed: DeployedModel,
    logits: NDArray[np.float32],
    photos: Sequence[SeenPhoto],
    *,
    embeddings: NDArray[np.float32],
    top_k: int,
    reliability: float,
    coverage: float,
    sighting: Sighting,
    disagreements: tuple[str, ...] = (),
    explanation: Explanation | None,
    listed: tuple[Chosen, Matched] | None = None,
) -> IdentifyAnswer:
    """The answer for N photos of one animal. logits: float32 [N, C], embeddings: float32 [N, D].

    ``listed``: the checklist that holds. It comes after the calibration and before everything that is decided.
    ``disagreements``: what the photos' own dates and places do not agree on.
    """
    each = decision.calibrated(logits, deployed.card.calibration, deployed.learnt_counts)
    unlisted = decision.combine_photos(each) if len(each) > 1 else each[0]
    weighed = (
        None if listed is None else apply_checklist(*listed, deployed.card, deployed.learnt_counts, unlisted)
    )
    combined, use = (unlisted, None) if weighed is None else (weighed.after, weighed.use)
    contradicted = use is not None and use.contradicts_photo
    scores = logits.mean(axis=0)
    decided, unknown = settle_unknown(
        deployed.unknown,
        decide_against_list(deployed.rollup, unlisted, weighed.ruled_out, reliability)
        if weighed is not None and contradicted
        else deployed.rollup.decide(combined, reliability),
        logits,
        embeddings,
        int(np.argmax(unlisted if contradicted else combined)),
        [photo.decoded for photo in photos],
        excluded=contradicted,
    )
    return IdentifyAnswer(
        id=identification_id,
        created_at=created_at,
        model=AnsweringModel(
            name=deployed.card.name,
            version=deployed.card.version,
            sha256=deployed.sha256,
            epoch=deployed.epoch,
        ),
        decision=DecisionAnswer(
            kind=decided.kind,
            reason=decided.reason,
            taxon=decided.taxon,
            probability=decided.probability,
            unknown=unknown,
        ),
        predictions=tuple(
            _prediction(
                deployed,
                index,
                float(combined[index]),
                float(scores[index]),
                float(unlisted[index]) if use and use.applied else None,
            )
            for index in decision.top_k(combined, top_k)
        ),
        prediction_set=prediction_set(
            deployed, combined, coverage, num_photos=len(photos), listed=bool(use and use.applied)
        ),
        images=tuple(_image(photo, sighting) for photo in photos),
        disagreements=disagreements,
        explanation=explanation,
        checklist=use,
    )


def _prediction(
    deployed: DeployedModel, index: int, probability: float, score: float, without_checklist: float | None
) -> Prediction:
    species = deployed.evaluation.species[index]
    prototype = deployed.card.prototype(species.label)
    return Prediction(
        taxon=deployed.card.taxa[index],
        probability=probability,
        score=score,
        group=species.group,
        training_count=species.training_count,
        evidence=Evidence.of(species, deployed.confusions.get(species.label, NOTHING)),
        added_from=prototype.num_photos if prototype else None,
        probability_without_checklist=without_checklist,
    )


def _image(photo: SeenPhoto, sighting: Sighting) -> ImageAnswer:
    """What the request says of time and place goes before what the camera wrote, which is often wrong."""
    info = photo.decoded.info
    place = sighting if sighting.decimal_latitude is not None else info.metadata
    return ImageAnswer(
        sha256=hashlib.sha256(photo.data).hexdigest(),
        width_px=info.width_px,
        height_px=info.height_px,
        format=info.format,
        orientation_applied=info.orientation_applied,
        event_date=sighting.event_date or info.metadata.event_date,
        decimal_latitude=place.decimal_latitude,
        decimal_longitude=place.decimal_longitude,
        warnings=photo.decoded.warnings,
    )
