"""Labelled photos -> logits, by a trained run or by a bundle. Both see exactly what serving would."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from models.bundle import Bundle
from models.preprocess import Preprocessing
from training.classifier import Classifier
from training.data.cache import PhotoCache, open_cache
from training.data.dataset import EvaluationViews
from training.data.index import Sample
from training.data.prepared import Dataset

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
    classifier: Classifier, cache: PhotoCache, places: Sequence[int], device: torch.device
) -> NDArray[np.float64]:
    """Float32 logits [N, C] of a network in evaluation mode, widened to float64."""
    classifier.eval()
    parts = [
        classifier(to_pixels(batch, device)).float().cpu().numpy()
        for batch in DataLoader(EvaluationViews(cache, places), batch_size=BATCH_SIZE)
    ]
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, 0))


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
    """Logits [N, C] of a bundle's ONNX graph, on the CPU."""
    session = onnxruntime.InferenceSession(bundle.onnx, providers=["CPUExecutionProvider"])
    parts = [
        session.run(["logits"], {"image": batch.numpy()})[0]
        for batch in DataLoader(EvaluationViews(cache, places), batch_size=BATCH_SIZE)
    ]
    return np.concatenate(parts).astype(np.float64)
