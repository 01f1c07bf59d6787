"""Several networks that answer with the mean of their logits. Legend: N images, B batch, C classes, H W pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import bundle
from models.views import Views
from training.asked import ask_run
from training.data.prepared import Dataset, read_dataset
from training.run_folder import read_run


class Ensemble(nn.Module):
    """Networks of one species list and one size of photo. Maps pixels [B, 3, H, W] to logits [B, C]."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    @property
    def members(self) -> list[nn.Module]:
        """The networks, in the order given."""
        return list(self.networks)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Mean logits [B, C], in at least float32."""
        answers = [network(pixels_BCHW) for network in self.networks]
        wide = torch.promote_types(answers[0].dtype, torch.float32)
        return torch.stack([answer_BC.to(wide) for answer_BC in answers]).mean(dim=0)


def run_logits(
    run: Path, dataset: Dataset, places: Sequence[int], views: Views = "one"
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Logits [N, C] of a finished run, and log of the prior in them [C] where it can be derived. Raises ValueError."""
    asked = ask_run(run, dataset, views)
    return asked.ask(asked.photos, places).logits_NC, asked.log_prior_C


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
