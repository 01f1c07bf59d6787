"""Several photos of one animal, of one network's answers or those of all folds -> their reports. Pure numpy.

N photos, M sightings, K photos of each, C classes, D features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.card import Calibration
from models.decision import calibrated
from models.evaluation import SeveralPhotosReport
from models.groups import Group
from models.several import NUM_PHOTOS, draw_sightings, several_report
from training.data.index import Sample

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Embedded:
    """What a head is given of each photo [N, D], and the head: embeddings [M, D] -> logits [M, C]."""

    embeddings_ND: Floats
    head: Callable[[Floats], Floats]


@dataclass(frozen=True)
class Answers:
    """One network's answers: calibrated probabilities [N, C] of its photos, and what else sightings can be made of."""

    samples: Sequence[Sample]
    labels_N: NDArray[np.int64]
    chances_NC: Floats
    calibration: Calibration
    embedded: Embedded | None


def several_reports(
    parts: Sequence[Answers], training_counts: Sequence[int], groups: Sequence[Group]
) -> tuple[SeveralPhotosReport, ...]:
    """Pairs and triples, by session where sessions are known and by species; photos of two networks never meet."""
    kinds: tuple[Literal["session", "species"], ...] = ("session", "species")
    reports = []
    for animal in kinds:
        for num_photos in NUM_PHOTOS:
            drawn = [
                draw_sightings([_key(animal, each) for each in part.samples], num_photos) for part in parts
            ]
            if sum(map(len, drawn)) == 0:
                continue
            known = [
                _by_embedding(part, drawn_MK, training_counts)
                for part, drawn_MK in zip(parts, drawn, strict=True)
            ]
            reports.append(
                several_report(
                    animal,
                    [
                        part.chances_NC[places_K]
                        for part, drawn_MK in zip(parts, drawn, strict=True)
                        for places_K in drawn_MK
                    ],
                    np.concatenate(
                        [part.labels_N[drawn_MK[:, 0]] for part, drawn_MK in zip(parts, drawn, strict=True)]
                    ),
                    groups,
                    by_embedding_MC=_joined(known),
                )
            )
    return tuple(reports)


def _key(animal: Literal["session", "species"], sample: Sample) -> tuple[str, str] | None:
    """Whose photo it is: a species' in one session, which is a photographer's night, or just a species'."""
    if animal == "species":
        return (sample.label, "")
    return (sample.label, sample.session) if sample.session else None


def _by_embedding(
    part: Answers, drawn_MK: NDArray[np.int64], training_counts: Sequence[int]
) -> Floats | None:
    if part.embedded is None:
        return None
    if len(drawn_MK) == 0:
        return np.zeros((0, part.chances_NC.shape[1]))
    mean_MD = part.embedded.embeddings_ND[drawn_MK].mean(axis=1)
    return calibrated(part.embedded.head(mean_MD), part.calibration, training_counts)


def _joined(known: Sequence[Floats | None]) -> Floats | None:
    found = [each for each in known if each is not None]
    return np.concatenate(found) if len(found) == len(known) else None
