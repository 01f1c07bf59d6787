"""The training photos of a bundle as codes, by the very graph that will be asked. Legend: N photos, D features."""

import io
import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader

from models.neighbours import MAX_PHOTOS, Neighbours, encode_photos
from training.data.cache import PhotoCache
from training.data.dataset import EvaluationViews
from training.data.index import Sample
from training.data.prepared import Dataset
from training.evaluate import class_indices
from training.inference import BATCH_SIZE, places_of

THUMBNAIL_PX = 96
MAX_THUMBNAIL_PHOTOS = 5_000
"""About 15 MB of a bundle: beyond it the references must do."""

_MAY_BE_SHOWN = re.compile(
    r"\b(?:cc0|public domain|cc[- ]by(?:[- ]sa)?)\b(?![- ](?:nc|nd|sa[- ]nc))", re.IGNORECASE
)
_NOT = re.compile(r"\b(?:no|not|unknown|without|nc|nd|noncommercial|noderiv\w*)\b", re.IGNORECASE)


def may_be_shown(licence: str) -> bool:
    """Whether a card's licence lets small copies of the photos be passed on. Anything doubtful does not.

    >>> [may_be_shown(words) for words in ("CC BY 4.0", "CC0 1.0", "cc-by-nc 4.0", "no licence text at the source")]
    [True, True, False, False]
    """
    return bool(_MAY_BE_SHOWN.search(licence)) and not _NOT.search(licence)


def neighbours_of(
    onnx: bytes, dataset: Dataset, cache: PhotoCache, *, licence: str, max_photos: int = MAX_PHOTOS
) -> Neighbours:
    """Codes of the photos that were trained on; of the most frequent species only some, where there are too many."""
    samples = thinned(dataset.split("train"), max_photos)
    places = places_of(dataset, samples)
    with_thumbnails = may_be_shown(licence) and len(samples) <= MAX_THUMBNAIL_PHOTOS
    return encode_photos(
        _embeddings(onnx, cache, places),
        class_indices(dataset, samples),
        [sample.path for sample in samples],
        [_thumbnail(cache[place]) for place in places] if with_thumbnails else (),
    )


def thinned(samples: Sequence[Sample], max_photos: int) -> tuple[Sample, ...]:
    """At most so many photos: as many of every species, in their order, so that the tail keeps all of its own.

    >>> photos = [Sample(path=f"{n}", label="ab"[n == 4], row=n) for n in range(5)]
    >>> [sample.path for sample in thinned(photos, 3)]
    ['0', '1', '4']
    """
    if len(samples) <= max_photos:
        return tuple(samples)
    of_label: dict[str, list[int]] = defaultdict(list)
    for place, sample in enumerate(samples):
        of_label[sample.label].append(place)
    turns = sorted((turn, place) for places in of_label.values() for turn, place in enumerate(places))
    kept = sorted(place for _, place in turns[:max_photos])
    return tuple(samples[place] for place in kept)


def _embeddings(onnx: bytes, cache: PhotoCache, places: Sequence[int]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    parts = [
        session.run(["embedding"], {"image": batch.numpy()})[0]
        for batch in DataLoader(EvaluationViews(cache, places), batch_size=BATCH_SIZE)
    ]
    return np.concatenate(parts)


def _thumbnail(image_HWC: NDArray[np.uint8]) -> bytes:
    """JPEG of a model's view of a photo, a few kilobytes."""
    picture = Image.fromarray(image_HWC).resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=75)
    return stream.getvalue()
