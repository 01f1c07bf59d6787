"""Labelled photos -> logits, by a trained run or by a bundle. Both see exactly what serving would."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from models.bundle import Bundle
from models.preprocess import Preprocessing
from models.views import Views, over_views, with_views
from training.classifier import Classifier
from training.data.cache import PhotoCache, open_cache
from training.data.dataset import EvaluationViews, Photos
from training.data.index import Sample
from training.data.prepared import Dataset
from training.experts import ExpertHeads
from training.several import Embedded

BATCH_SIZE = 32
_GPU_BATCH_SIZE, _GPU_PIXELS = 256, 2**22
"""On a GPU larger batches, of up to so many pixels: activations must leave room for what learns there."""


def evaluation_cache(dataset: Dataset, wanted: Preprocessing) -> PhotoCache:
    """All photos of a data set as ``models.preprocess`` gives them."""
    return open_cache(dataset.folder, dataset.info.root, dataset.samples, wanted)


def places_of(dataset: Dataset, samples: Sequence[Sample]) -> list[int]:
    """Where samples lie in the data set's order."""
    by_row = {sample.row: place for place, sample in enumerate(dataset.samples)}
    return [by_row[sample.row] for sample in samples]


class Answers(NamedTuple):
    """What a network says of N photos: logits [N, C] and L2-normalised embeddings [N, D], both float64.

    Logits are the mean over the views of a photo, embeddings those of the photo as it is. ``embedded``: what the head
    was given, mean over the views; None of a bundle, and of experts, who have a head each.
    """

    logits_NC: NDArray[np.float64]
    embeddings_ND: NDArray[np.float64]
    embedded: Embedded | None = None

    @classmethod
    def joined(cls, parts: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> "Answers":
        """Answers of batches, one after the other."""
        if not parts:
            return cls(np.zeros((0, 0)), np.zeros((0, 0)))
        logits, embeddings = zip(*parts, strict=True)
        return cls(np.concatenate(logits).astype(np.float64), np.concatenate(embeddings).astype(np.float64))


@torch.inference_mode()
def network_answers(
    classifier: Classifier, cache: Photos, places: Sequence[int], device: torch.device, views: Views = "one"
) -> Answers:
    """Float32 answers of a network in evaluation mode, widened."""
    classifier.eval()
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    pooled: list[NDArray[np.float32]] = []
    for shown_MHWC in _shown(cache, places, views, _batch_size(device, cache)):
        found = classifier.outputs(to_pixels(torch.from_numpy(shown_MHWC), device))
        logits_NC = over_views(_numbers(found.logits_BC), views)
        parts.append((logits_NC, _numbers(found.embedding_BD)[: len(logits_NC)]))
        pooled.append(over_views(_numbers(found.features_BDhw.mean(dim=(2, 3))), views))
    answers = Answers.joined(parts)
    if not parts or isinstance(classifier.head, ExpertHeads):
        return answers
    embedded = Embedded(np.concatenate(pooled).astype(np.float64), _head_of(classifier, device))
    return answers._replace(embedded=embedded)


def network_logits(
    classifier: Classifier, cache: Photos, places: Sequence[int], device: torch.device, views: Views = "one"
) -> NDArray[np.float64]:
    """Float32 logits [N, C] of a network in evaluation mode, widened to float64: the mean over ``views``."""
    return network_answers(classifier, cache, places, device, views).logits_NC


def _batch_size(device: torch.device, cache: Photos) -> int:
    if device.type != "cuda" or not len(cache):
        return BATCH_SIZE
    height, width, _ = cache[0].shape
    return max(BATCH_SIZE, min(_GPU_BATCH_SIZE, _GPU_PIXELS // int(height * width)))


def _shown(
    cache: Photos, places: Sequence[int], views: Views, batch_size: int = BATCH_SIZE
) -> Iterator[NDArray[np.uint8]]:
    """A batch of photos at a time, each with every view of its photos."""
    for batch in DataLoader(EvaluationViews(cache, places), batch_size=batch_size):
        yield with_views(batch.numpy(), views)


def _head_of(
    classifier: Classifier, device: torch.device
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    @torch.inference_mode()
    def head(embeddings_MD: NDArray[np.float64]) -> NDArray[np.float64]:
        logits_MC = classifier.head(torch.from_numpy(embeddings_MD).float().to(device))
        return _numbers(logits_MC).astype(np.float64)

    return head


def _numbers(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()


@torch.inference_mode()
def network_embeddings(
    classifier: Classifier, cache: PhotoCache, places: Sequence[int], *, mirrored: bool = False
) -> NDArray[np.float64]:
    """Pooled features [N, D] before normalisation to length one; ``mirrored`` appends those of mirrored photos."""
    classifier.eval()
    device = next(classifier.parameters()).device
    parts: list[list[NDArray[np.float32]]] = [[], []]
    for batch in DataLoader(EvaluationViews(cache, places), batch_size=_batch_size(device, cache)):
        pixels_BCHW = to_pixels(batch, device)
        for side, views_BCHW in enumerate((pixels_BCHW, pixels_BCHW.flip(3)) if mirrored else (pixels_BCHW,)):
            parts[side].append(classifier.pooled(views_BCHW).float().cpu().numpy())
    return np.concatenate([*parts[0], *parts[1]]).astype(np.float64)


def to_pixels(images_BHWC: Tensor, device: torch.device) -> Tensor:
    """uint8 [B, H, W, 3] -> float [B, 3, H, W] in 0 to 255, laid out as convolutions like it."""
    return images_BHWC.to(device).permute(0, 3, 1, 2).float()


def bundle_answers(bundle: Bundle, cache: Photos, places: Sequence[int]) -> Answers:
    """Answers of a bundle's ONNX graph, on the CPU, over the views of its card."""
    session = onnxruntime.InferenceSession(bundle.onnx, providers=["CPUExecutionProvider"])
    views = bundle.card.views
    parts = []
    for shown_MHWC in _shown(cache, places, views):
        logits_MC, embeddings_MD = session.run(["logits", "embedding"], {"image": shown_MHWC})
        logits_NC = over_views(logits_MC, views)
        parts.append((logits_NC, embeddings_MD[: len(logits_NC)]))
    return Answers.joined(parts)
