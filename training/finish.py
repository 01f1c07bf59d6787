"""From trained weights to final ones: mixed with what they began as, a discriminant in the head, frequencies taken out.

Legend: N photos, C classes, D features.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.preprocess import Preprocessing
from training.classifier import Classifier, make_classifier
from training.config import RunConfig
from training.data.cache import PhotoCache
from training.data.prepared import Dataset
from training.discriminant import Floats, LinearHead, blend, discriminant_head
from training.evaluate import class_indices
from training.inference import evaluation_cache, network_embeddings, network_logits, places_of

TAUS = tuple(step / 20 for step in range(41))
"""0 to 2, of the logits' own spread."""


def finish(classifier: Classifier, config: RunConfig, dataset: Dataset) -> None:
    """Do to a trained network, in place, what its configuration says. The test split is not looked at.

    Raises ValueError where tau is to be chosen and there are no validation photos.
    """
    wanted = config.finish
    photos = evaluation_cache(dataset, Preprocessing(size_px=config.size_px, fit=config.fit))
    if wanted.pretrained_share:
        _mix_backbone(classifier, make_classifier(config, len(dataset.labels)), wanted.pretrained_share)
    if wanted.discriminant_share:
        _blend_head(classifier, dataset, photos, wanted.discriminant_share)
    if wanted.choose_tau:
        _take_frequencies_out(classifier, dataset, photos)


@torch.no_grad()
def _mix_backbone(trained: Classifier, began_as: Classifier, share: float) -> None:
    start = dict(began_as.backbone.named_parameters())
    for name, parameter in trained.backbone.named_parameters():
        parameter.lerp_(start[name].to(parameter), share)


def _blend_head(classifier: Classifier, dataset: Dataset, photos: PhotoCache, share: float) -> None:
    """With the discriminant of the training photos, as they are and mirrored."""
    samples = dataset.split("train")
    embeddings_ND = network_embeddings(classifier, photos, places_of(dataset, samples), mirrored=True)
    other = discriminant_head(embeddings_ND, np.tile(class_indices(dataset, samples), 2), len(dataset.labels))
    head = _linear(classifier)
    trained = LinearHead(_float64(head.weight), _float64(head.bias))
    _set(head, blend(trained, other, embeddings_ND, share))


def _take_frequencies_out(classifier: Classifier, dataset: Dataset, photos: PhotoCache) -> None:
    samples = dataset.split("val")
    if not samples:
        raise ValueError("finish.choose_tau needs validation photos: prepare the data with some")
    head = _linear(classifier)
    device = head.weight.device
    logits_NC = network_logits(classifier, photos, places_of(dataset, samples), device)
    shift_C = chosen_shift(logits_NC, class_indices(dataset, samples), dataset.info.training_counts)
    with torch.no_grad():
        head.bias.add_(torch.from_numpy(shift_C).to(head.bias))


def chosen_shift(logits_NC: Floats, labels_N: NDArray[np.int64], training_counts: tuple[int, ...]) -> Floats:
    """-tau * log(prior) [C], about its mean, of the tau with the best macro recall; of equals the smallest.

    tau is in units of the logits' spread about each photo's mean.

    >>> logits = np.array([[2.0, 0.0], [1.0, 0.0], [0.4, 0.0]])
    >>> (logits + chosen_shift(logits, np.array([0, 0, 1]), (9, 1))).argmax(axis=1).tolist()
    [0, 0, 1]
    """
    log_counts_C = np.log(np.asarray(training_counts, dtype=np.float64))
    rarity_C = log_counts_C.mean() - log_counts_C
    spread = float((logits_NC - logits_NC.mean(axis=1, keepdims=True)).std())
    classes = np.unique(labels_N)

    def macro_recall(tau: float) -> float:
        right_N = (logits_NC + tau * spread * rarity_C).argmax(axis=1) == labels_N
        return float(np.mean([right_N[labels_N == label].mean() for label in classes]))

    shift_C: Floats = max(TAUS, key=macro_recall) * spread * rarity_C
    return shift_C


def _linear(classifier: Classifier) -> nn.Linear:
    assert isinstance(classifier.head, nn.Linear)
    return classifier.head


@torch.no_grad()
def _set(head: nn.Linear, values: LinearHead) -> None:
    head.weight.copy_(torch.from_numpy(values.weight_CD))
    head.bias.copy_(torch.from_numpy(values.bias_C))


def _float64(parameter: torch.Tensor) -> Floats:
    return parameter.detach().cpu().double().numpy()
