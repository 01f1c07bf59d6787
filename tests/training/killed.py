"""Runs that end after their first checkpoint, as a killed one does, and whether two runs ended alike."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from training.config import RunConfig
from training.data.prepared import Dataset
from training.progress import RunProgress
from training.trainer import train


class Killed(Exception):
    """What stands for a kill right after an epoch's checkpoint."""


def killed_after_one_epoch(
    config: RunConfig, dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends after the first checkpoint that it or a teacher of it writes."""

    def kill(*_: object) -> None:
        raise Killed

    folder.mkdir(exist_ok=True)
    with monkeypatch.context() as patched:
        patched.setattr(RunProgress, "epoch", kill)
        with pytest.raises(Killed):
            train(config, dataset, folder)


def same(first: Path, second: Path) -> bool:
    """Whether two runs ended with the same weights, bit for bit."""
    one, other = (load_file(folder / "final.safetensors") for folder in (first, second))
    return one.keys() == other.keys() and all(one[key].equal(other[key]) for key in one)
