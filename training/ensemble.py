"""Several networks that answer with the mean of their logits. Legend: N images, B batch, C classes, H W pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import bundle
from models.preprocess import Preprocessing
from models.views import Views
from training.data.prepared import Dataset, read_dataset
from training.inference import evaluation_cache, network_answers
from training.prior import remaining_log_prior
from training.run_folder import read_run
from training.several import Embedded
from training.trained import load_run


class Ensemble(nn.Module):
    """Networks of one species list and one size of photo. Maps pixels [B, 3, H, W] to logits [B, C]."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Mean logits [B, C], in at least float32."""
        return torch.stack([network(pixels_BCHW).float() for network in self.networks]).mean(dim=0)


def run_logits(
    run: Path, dataset: Dataset, places: Sequence[int], views: Views = "one"
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Logits [N, C] of a finished run, and log of the prior in them [C] where it can be derived. Raises ValueError."""
    logits_NC, prior_C, _ = run_answers(run, dataset, places, views)
    return logits_NC, prior_C


def run_answers(
    run: Path, dataset: Dataset, places: Sequence[int], views: Views = "one"
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, Embedded | None]:
    """What ``run_logits`` gives, and what the run's head was given."""
    config, classifier = load_run(run, len(dataset.labels))
    cache = evaluation_cache(dataset, Preprocessing(size_px=config.size_px, fit=config.fit))
    logits_NC, embedded = network_answers(classifier, cache, places, torch.device("cpu"), views)
    return logits_NC, remaining_log_prior(config, dataset.info.training_counts), embedded


def ensemble_logits(
    runs: Sequence[Path], dataset: Dataset, places: Sequence[int], views: Views = "one"
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Mean logits [N, C] of finished runs, each at its own size of photo, and log of the prior in them [C].

    A mean of logits carries the mean of their log priors, unless one is unknown. Raises ValueError for a bundle, and
    for a run with another species list than the data's.
    """
    for run in runs:
        _check_species(run, dataset)
    logits, priors = zip(*(run_logits(run, dataset, places, views) for run in runs), strict=True)
    known = [prior_C for prior_C in priors if prior_C is not None]
    mean_NC: NDArray[np.float64] = np.mean(logits, axis=0)
    prior_C: NDArray[np.float64] | None = np.mean(known, axis=0) if len(known) == len(runs) else None
    return mean_NC, prior_C


def _check_species(run: Path, dataset: Dataset) -> None:
    if (run / bundle.CARD).exists():
        raise ValueError(f"{run}: is a bundle; an ensemble is judged from its run folders")
    record = read_run(run)
    if (
        record.data_sha256 != dataset.info.content_sha256
        and read_dataset(record.data).labels != dataset.labels
    ):
        raise ValueError(f"{run}: its species list is not that of {dataset.folder}; an ensemble shares one")
