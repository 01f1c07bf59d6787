"""The final head of a trained network, from the embeddings of its own training photos."""

import numpy as np
import torch

from training.classifier import Classifier
from training.data.cache import PhotoCache
from training.data.prepared import Dataset
from training.discriminant import LinearHead, blend, discriminant_head
from training.inference import network_embeddings, places_of


def blend_head(classifier: Classifier, dataset: Dataset, photos: PhotoCache, share: float) -> None:
    """Replace a linear head by its mean with the discriminant of the training photos, as they are and mirrored."""
    samples = dataset.split("train")
    embeddings_ND = network_embeddings(classifier, photos, places_of(dataset, samples), mirrored=True)
    labels_N = np.tile([dataset.labels.index(sample.label) for sample in samples], 2)
    head = classifier.head
    assert isinstance(head, torch.nn.Linear)
    trained = LinearHead(_float64(head.weight), _float64(head.bias))
    other = discriminant_head(embeddings_ND, labels_N, len(dataset.labels))
    weight_CD, bias_C = blend(trained, other, embeddings_ND, share)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight_CD))
        head.bias.copy_(torch.from_numpy(bias_C))


def _float64(parameter: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return parameter.detach().cpu().double().numpy()
