"""What happens to a network once its epochs are over: the second stage of its configuration, and the post-hoc prior.

Legend: N images, C classes, D features.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.preprocess import Preprocessing
from training import choices, stages
from training.classifier import Classifier, make_classifier
from training.config import RunConfig
from training.data.cache import PhotoCache
from training.data.index import Sample
from training.data.prepared import Dataset
from training.data.sampler import draw_by_class
from training.evaluate import class_indices
from training.heads import CosineHead
from training.inference import (
    BATCH_SIZE,
    evaluation_cache,
    network_embeddings,
    network_logits,
    places_of,
    to_pixels,
)
from training.losses import log_prior
from training.post_hoc import adjust_logits, best_prior_tau
from training.stages import Embedded


def finish(classifier: Classifier, config: RunConfig, dataset: Dataset) -> None:
    """Change a trained network as its configuration asks for: its weights towards what they were, its head, and for
    shifted statistics its buffers. ``check_finish`` has said that it can. The test split is not looked at.
    """
    if config.model.pretrained_share:
        began_as = make_classifier(config, len(dataset.labels))
        mix_backbone(classifier.backbone, began_as.backbone, config.model.pretrained_share)
    if config.stage.name != "none":
        photos = _photos(config, dataset)
        if isinstance(config.stage, choices.MiSLAS) and config.stage.shift_batch_norm:
            _shift_on_balanced_photos(classifier, config, dataset, photos)
        head = _second_stage(classifier, config, dataset, photos)
        classifier.head.load_state_dict(head.state_dict())
    if config.post_hoc.moves_prior:
        tau = config.post_hoc.tau
        if tau is None:
            samples, device = dataset.split("val"), next(classifier.parameters()).device
            places = places_of(dataset, samples)
            logits_NC = network_logits(classifier, _photos(config, dataset), places, device)
            tau = tau_chosen_on(samples, logits_NC, dataset)
        take_prior(cast(nn.Linear, classifier.head), dataset.info.training_counts, tau)


def _photos(config: RunConfig, dataset: Dataset) -> PhotoCache:
    """As evaluation sees them; decoded only for a run that asks, since they may not be cached yet."""
    return evaluation_cache(dataset, Preprocessing(size_px=config.size_px, fit=config.fit))


@torch.no_grad()
def mix_backbone(trained: nn.Module, began_as: nn.Module, share: float) -> None:
    """``share`` of every weight goes back to what it was (Wortsman et al., 2022)."""
    start = dict(began_as.named_parameters())
    for name, parameter in trained.named_parameters():
        parameter.lerp_(start[name].to(parameter), share)


def tau_chosen_on(samples: tuple[Sample, ...], logits_NC: NDArray[np.float64], dataset: Dataset) -> float:
    """``post_hoc.tau`` chosen on photos that the networks whose logits these are have not learnt from."""
    log_prior_C = log_prior(dataset.info.training_counts).double().numpy()
    return best_prior_tau(logits_NC, class_indices(dataset, samples), log_prior_C, dataset.groups)


def check_finish(config: RunConfig, dataset: Dataset) -> None:
    """Refuse before the first epoch what could not be finished after the last, or would be itself by name alone.

    Raises ValueError.
    """
    _check_begin(config)
    _check_resampling(config, dataset.info.training_counts)
    by_stage = isinstance(config.stage, choices.TauNorm) and config.stage.tau is None
    key = "stage.tau" if by_stage else "post_hoc.tau" if config.post_hoc.tau is None else None
    if key and not dataset.split("val"):
        raise ValueError(f"tau is chosen on validation photos, and there are none: give {key} a number")


def _check_begin(config: RunConfig) -> None:
    if config.model.pretrained != "none":
        return
    if config.model.frozen_stages:
        raise ValueError(
            "frozen stages of random weights learn nothing: give model.pretrained, or model.frozen_stages=0"
        )
    if config.model.batch_norm == "fold":
        raise ValueError(
            "random weights have no statistics to fold: give model.pretrained, or model.batch_norm=learn"
        )


def _check_resampling(config: RunConfig, training_counts: Sequence[int]) -> None:
    sampling = config.sampling
    if sampling.name != "resampled":
        return
    fewest, most = min(training_counts), max(training_counts)
    if sampling.at_least <= fewest and (sampling.at_most is None or sampling.at_most >= most):
        raise ValueError(
            f"species here have {fewest:,} to {most:,} photos, so that sampling.at_least={sampling.at_least} "
            f"sampling.at_most={sampling.at_most} changes nothing: give other targets"
        )


def _second_stage(
    classifier: Classifier, config: RunConfig, dataset: Dataset, photos: PhotoCache
) -> nn.Module:
    stage, head, seed = config.stage, classifier.head, config.seed
    if isinstance(stage, choices.TauNorm):
        linear, tau = cast(nn.Linear, head), stage.tau
        if tau == 0:  # asked for, it changes nothing; chosen, it was the best of heads without a bias
            return linear
        if tau is None:
            tau = stages.best_tau(linear, _embedded(classifier, dataset, photos, "val"))
        return stages.tau_norm(linear, tau)
    train = _embedded(classifier, dataset, photos, "train", mirrored=config.augment.flip)
    if isinstance(stage, choices.CRT):
        return stages.crt(config.model, train, stage, len(dataset.labels), seed=seed)
    if isinstance(stage, choices.NCM):
        return stages.ncm(cast(CosineHead, head), train)
    linear = stages.copy_linear(cast(nn.Linear, head))
    if isinstance(stage, choices.Discriminant):
        return stages.discriminant(linear, train, stage)
    if isinstance(stage, choices.MiSLAS):
        return stages.mislas(linear, train, dataset.info.training_counts, stage, seed=seed)
    assert isinstance(stage, choices.LWS)
    return stages.lws(linear, train, stage, seed=seed)


@torch.no_grad()
def take_prior(head: nn.Linear, training_counts: Sequence[int], tau: float) -> None:
    """Post-hoc logit adjustment, for good: ``tau * log(prior)`` leaves by way of the bias."""
    bias_1C = head.bias.detach().cpu().double().numpy()[np.newaxis]
    adjusted_1C = adjust_logits(bias_1C, log_prior(training_counts).double().numpy(), tau=tau)
    head.bias.copy_(torch.from_numpy(adjusted_1C[0]))


@torch.no_grad()
def shift_batch_norm(classifier: Classifier, photos: PhotoCache, places: Sequence[int]) -> None:
    """Let the statistics of learnt batch normalisation go on over these photos; nothing else changes.

    Zhong et al. (2021), section 3.3.
    """
    device = next(classifier.parameters()).device
    classifier.eval()
    for module in classifier.backbone.modules():
        if isinstance(module, nn.BatchNorm2d) and module.weight.requires_grad:
            module.train()
    for first in range(0, len(places), BATCH_SIZE):
        batch = places[first : first + BATCH_SIZE]
        if len(batch) > 1:
            images_BHWC = torch.from_numpy(np.stack([photos[place] for place in batch]))
            classifier(to_pixels(images_BHWC, device))
    classifier.eval()


def _shift_on_balanced_photos(
    classifier: Classifier, config: RunConfig, dataset: Dataset, photos: PhotoCache
) -> None:
    samples = dataset.split("train")
    classes, num_classes = class_indices(dataset, samples).tolist(), len(dataset.labels)
    shares_C = np.full(num_classes, 1 / num_classes)
    draws = draw_by_class(classes, shares_C, len(classes), seed=config.seed)
    places = places_of(dataset, samples)
    shift_batch_norm(classifier, photos, [places[draw % len(classes)] for draw in draws])


def _embedded(
    classifier: Classifier, dataset: Dataset, photos: PhotoCache, split: str, *, mirrored: bool = False
) -> Embedded:
    samples = dataset.split(split)
    embeddings_ND = network_embeddings(classifier, photos, places_of(dataset, samples), mirrored=mirrored)
    labels_N = np.tile(class_indices(dataset, samples), 2 if mirrored else 1)
    return Embedded(torch.from_numpy(embeddings_ND).float(), torch.from_numpy(labels_N))
