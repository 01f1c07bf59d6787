"""Photos of the tail that a run named right and wrong, each with a map of what spoke for the name it gave.

Legend: N test images, B batch, K experts, D features, h w grid.
"""

import base64
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from models.heatmap import heated
from models.preprocess import DEFAULT_LIMITS, Preprocessing, preprocess
from models.words import count_words
from training.checkpoint import WEIGHTS
from training.classifier import Classifier
from training.compare.methods import Method
from training.compare.page import Photo, PhotoRow
from training.compare.record import RunResult
from training.data.prepared import Dataset
from training.experts import ExpertHeads
from training.heads import CosineHead
from training.inference import to_pixels
from training.run_folder import CONFIG
from training.trained import load_run

PHOTOS_A_ROW = 4
_SIDE_PX = 200


class Choice(NamedTuple):
    """What a row of photos shows, and which test photos, by their places."""

    heading: str
    text: str
    places: tuple[int, ...]


def choose_photos(result: RunResult, dataset: Dataset, most: int = PHOTOS_A_ROW) -> tuple[Choice, ...]:
    """Test photos of tail species: right and wrong with most confidence, and the pairs that are confused most.

    A species is shown once a row, a photo once in all. Rows without a photo are left out.
    """
    labels_N, predicted_N = np.array(result.test.labels), np.array(result.test.predicted)
    tail_N = np.array([group == "tail" for group in dataset.groups])[labels_N]
    surest = np.argsort(-np.array(result.test.confidence), kind="stable")
    pairs = Counter(zip(labels_N.tolist(), predicted_N.tolist(), strict=True))
    exchanged = sorted(surest, key=lambda n: -pairs[int(labels_N[n]), int(predicted_N[n])])
    wrong_N = tail_N & ~result.test.correct
    rows = (
        ("Right", "Named right, with most confidence.", surest, tail_N & result.test.correct),
        ("Most confused", "Of the pairs that are confused most often.", exchanged, wrong_N),
        ("Wrong", "Named wrong, with most confidence.", surest, wrong_N),
    )
    shown: set[int] = set()
    choices = []
    for heading, text, order, wanted_N in rows:
        places = _first_of_each_species([int(n) for n in order if wanted_N[n] and n not in shown], labels_N)
        shown.update(places[:most])
        choices.append(Choice(heading, text, tuple(places[:most])))
    return tuple(choice for choice in choices if choice.places)


def _first_of_each_species(places: Sequence[int], labels_N: NDArray[np.int64]) -> list[int]:
    first: dict[int, int] = {}
    for place in places:
        first.setdefault(int(labels_N[place]), place)
    return list(first.values())


def run_with_weights(method: Method, runs: Path) -> RunResult | None:
    """The first of a method's runs whose folder still has what it takes to ask it again."""
    for run in method.runs:
        if all((runs / run.key / name).exists() for name in (CONFIG, WEIGHTS)):
            return run
    return None


def photo_rows(result: RunResult, dataset: Dataset, runs: Path) -> tuple[PhotoRow, ...]:
    """Rows of photos with heatmaps. Raises ValueError or OSError where weights or photos cannot be read."""
    config, classifier = load_run(runs / result.key, len(dataset.labels))
    wanted = Preprocessing(size_px=config.size_px, fit=config.fit)
    samples = dataset.split("test")
    rows = []
    for heading, text, places in choose_photos(result, dataset):
        photos = []
        for place in places:
            data = (dataset.info.root / samples[place].path).read_bytes()
            view = preprocess(data, wanted, DEFAULT_LIMITS)[0]
            photos.append(_photo(result, dataset, place, view, classifier))
        rows.append(PhotoRow(heading, text, tuple(photos)))
    return tuple(rows)


def _photo(
    result: RunResult, dataset: Dataset, place: int, view: NDArray[np.uint8], classifier: Classifier
) -> Photo:
    true, predicted = result.test.labels[place], result.test.predicted[place]
    count = dataset.info.training_counts[true]
    heat_map = class_activation(
        classifier, to_pixels(torch.from_numpy(view.copy())[None], _device(classifier)), predicted
    )
    positive = np.maximum(heat_map[0].float().cpu().numpy(), 0.0)
    return Photo(
        photo=_address(view),
        heatmap=_address(heated(view, (positive / max(float(positive.max()), 1e-9)).astype(np.float32))),
        true=dataset.info.taxa[true].display_name,
        predicted=dataset.info.taxa[predicted].display_name,
        confidence=f"{100 * result.test.confidence[place]:.0f}%",
        training_count=count_words(count, "training photo"),
        right=true == predicted,
    )


def _device(classifier: Classifier) -> torch.device:
    return next(classifier.parameters()).device


@torch.inference_mode()
def class_activation(classifier: Classifier, pixels_BCHW: Tensor, place: int) -> Tensor:
    """Class activation map [B, h, w] (Zhou et al., 2016): what each place of the grid adds to the logit of a class.

    Its mean over the grid is the logit without the bias; under a cosine head it is that but for a positive factor,
    as the logit is divided by the length of the photo's embedding. Of several experts the mean of their maps.
    """
    classifier.eval()
    features = classifier.backbone(classifier.normalise(pixels_BCHW))
    heads = list(classifier.head.heads) if isinstance(classifier.head, ExpertHeads) else [classifier.head]
    features_KBDhw = features.unflatten(0, (len(heads), -1))
    maps_KBhw = [
        torch.einsum("bdhw,d->bhw", features_BDhw, _direction(head, place))
        for features_BDhw, head in zip(features_KBDhw, heads, strict=True)
    ]
    return torch.stack(maps_KBhw).mean(dim=0)


def _direction(head: nn.Module, place: int) -> Tensor:
    if isinstance(head, CosineHead):
        return head.log_scale.exp() * functional.normalize(head.weight[place], dim=0)
    assert isinstance(head, nn.Linear)
    return head.weight[place]


def _address(view: NDArray[np.uint8]) -> str:
    """The view as a small JPEG in a ``data:`` address."""
    out = BytesIO()
    side = min(_SIDE_PX, len(view))
    Image.fromarray(view).resize((side, side), Image.Resampling.LANCZOS).save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
