"""A run or a bundle that can be asked about photos. Legend: N photos, C classes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models import bundle
from models.preprocess import Preprocessing
from models.views import Views
from training.classifier import Classifier
from training.config import RunConfig
from training.data.cache import PhotoCache
from training.data.dataset import Photos
from training.data.prepared import Dataset
from training.inference import Answers, bundle_answers, evaluation_cache, network_answers
from training.prior import remaining_log_prior
from training.same_species import check_same_species
from training.target_prior import prior_of_card
from training.trained import load_run

Ask = Callable[[Photos, Sequence[int]], Answers]
"""Photos and which of them -> what the network says."""


class Asked(NamedTuple):
    """How to ask, the photos of the data set as it wants them, and log of the prior in its logits [C] where known."""

    ask: Ask
    wanted: Preprocessing
    photos: PhotoCache
    log_prior_C: NDArray[np.float64] | None


def ask_network(classifier: Classifier, views: Views = "one") -> Ask:
    """Ask a network on the CPU."""
    return lambda photos, places: network_answers(classifier, photos, places, torch.device("cpu"), views)


def ask_run(folder: Path, dataset: Dataset, views: Views = "one") -> Asked:
    """Ask a finished run. Raises ValueError."""
    config, classifier = load_run(folder, len(dataset.labels))
    wanted = wanted_by(config)
    prior_C = remaining_log_prior(config, dataset.info.training_counts)
    return Asked(ask_network(classifier, views), wanted, evaluation_cache(dataset, wanted), prior_C)


def wanted_by(config: RunConfig) -> Preprocessing:
    """What photos a run is evaluated on."""
    return Preprocessing(size_px=config.size_px, fit=config.fit)


def ask_bundle(read: bundle.Bundle, dataset: Dataset) -> Asked:
    """Ask a bundle, over the views of its card. Raises ValueError where its species list is another one."""
    check_same_species(read.path, read.card, dataset.labels, dataset.folder)
    wanted = read.card.preprocessing
    return Asked(
        lambda photos, places: bundle_answers(read, photos, places),
        wanted,
        evaluation_cache(dataset, wanted),
        prior_of_card(read.card),
    )


def check_views(read: bundle.Bundle, views: Views | None) -> None:
    """Raises ValueError where a bundle is asked for other views than its own; None: for those."""
    if views not in (None, read.card.views):
        raise ValueError(
            f"{read.path}: is calibrated for views {read.card.views!r}, as its card says; to judge {views!r}, "
            "give the run, or export it with --views"
        )
