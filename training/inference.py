"""Labelled photos -> logits, by a trained run or by a bundle. Both see exactly what serving would."""

from collections.abc import Callable, Iterator, Sequence

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
from training.data.dataset import EvaluationViews
from training.data.index import Sample
from training.data.prepared import Dataset
from training.experts import ExpertHeads
from training.several import Embedded

BATCH_SIZE = 32


def evaluation_cache(dataset: Dataset, wanted: Preprocessing) -> PhotoCache:
    """All photos of a data set as ``models.preprocess`` gives them."""
    return open_cache(dataset.folder, dataset.info.root, dataset.samples, wanted)


def places_of(dataset: Dataset, samples: Sequence[Sample]) -> list[int]:
    """Where samples lie in the data set's order."""
    by_row = {sample.row: place for place, sample in enumerate(dataset.samples)}
    return [by_row[sample.row] for sample in samples]


@torch.inference_mode()
def network_logits(
    classifier: Classifier,
    cache: PhotoCache,
    places: Sequence[int],
    device: torch.device,
    views: Views = "one",
) -> NDArray[np.float64]:
    """Float32 logits [N, C] of a network in evaluation mode, widened to float64: the mean over ``views``."""
    classifier.eval()
    parts = [
        over_views(_widened(classifier(pixels_BCHW)), views)
        for pixels_BCHW in _shown(cache, places, views, device)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 0))


@torch.inference_mode()
def network_answers(
    classifier: Classifier,
    cache: PhotoCache,
    places: Sequence[int],
    device: torch.device,
    views: Views = "one",
) -> tuple[NDArray[np.float64], Embedded | None]:
    """Logits as ``network_logits`` gives them, and what the head was given; None of experts, who have a head each."""
    classifier.eval()
    logits: list[NDArray[np.float64]] = []
    pooled: list[NDArray[np.float64]] = []
    for pixels_BCHW in _shown(cache, places, views, device):
        pooled_BD = classifier.pooled(pixels_BCHW)
        logits.append(over_views(_widened(classifier.head(pooled_BD)), views))
        pooled.append(_widened(pooled_BD))
    if not logits:
        return np.zeros((0, 0)), None
    joined_NC = np.concatenate(logits)
    if isinstance(classifier.head, ExpertHeads):
        return joined_NC, None
    joined_ND = np.concatenate([over_views(part, views) for part in pooled])
    return joined_NC, Embedded(joined_ND, _head_of(classifier, device))


def _shown(cache: PhotoCache, places: Sequence[int], views: Views, device: torch.device) -> Iterator[Tensor]:
    """Pixels of a batch at a time, with every view of its photos."""
    for batch in DataLoader(EvaluationViews(cache, places), batch_size=BATCH_SIZE):
        yield to_pixels(torch.from_numpy(with_views(batch.numpy(), views)), device)


def _head_of(
    classifier: Classifier, device: torch.device
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    @torch.inference_mode()
    def head(embeddings_MD: NDArray[np.float64]) -> NDArray[np.float64]:
        return _widened(classifier.head(torch.from_numpy(embeddings_MD).float().to(device)))

    return head


def _widened(values: Tensor) -> NDArray[np.float64]:
    return values.float().cpu().numpy().astype(np.float64)


@torch.inference_mode()
def network_embeddings(
    classifier: Classifier, cache: PhotoCache, places: Sequence[int], *, mirrored: bool = False
) -> NDArray[np.float64]:
    """Pooled features [N, D] before normalisation to length one; ``mirrored`` appends those of mirrored photos."""
    classifier.eval()
    device = next(classifier.parameters()).device
    parts: list[list[NDArray[np.float32]]] = [[], []]
    for batch in DataLoader(EvaluationViews(cache, places), batch_size=BATCH_SIZE):
        pixels_BCHW = to_pixels(batch, device)
        for side, views_BCHW in enumerate((pixels_BCHW, pixels_BCHW.flip(3)) if mirrored else (pixels_BCHW,)):
            parts[side].append(classifier.pooled(views_BCHW).float().cpu().numpy())
    return np.concatenate([*parts[0], *parts[1]]).astype(np.float64)


def to_pixels(images_BHWC: Tensor, device: torch.device) -> Tensor:
    """uint8 [B, H, W, 3] -> float [B, 3, H, W] in 0 to 255, laid out as convolutions like it."""
    return images_BHWC.to(device).permute(0, 3, 1, 2).float()


def bundle_logits(bundle: Bundle, cache: PhotoCache, places: Sequence[int]) -> NDArray[np.float64]:
    """Logits [N, C] of a bundle's ONNX graph, on the CPU: the mean over the views of its card."""
    session = onnxruntime.InferenceSession(bundle.onnx, providers=["CPUExecutionProvider"])
    views = bundle.card.views
    parts = [
        over_views(session.run(["logits"], {"image": with_views(batch.numpy(), views)})[0], views)
        for batch in DataLoader(EvaluationViews(cache, places), batch_size=BATCH_SIZE)
    ]
    return np.concatenate(parts).astype(np.float64)
