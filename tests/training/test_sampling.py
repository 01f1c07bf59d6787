"""Samplers in a real run: repeated photos are other views, workers change nothing, a switch survives a kill."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from training.choices import LDAM, EffectiveNumber, Experts, Mixing, Sampling
from training.config import RunConfig
from training.data.batches import cut_to_batches
from training.data.cache import open_cache
from training.data.dataset import TrainingViews, training_loader
from training.data.prepared import Dataset
from training.data.sampler import class_shares, epoch_order
from training.objective import make_objective
from training.recipes import make_recipe
from training.trainer import train


def views_of(dataset: Dataset, config: RunConfig) -> TrainingViews:
    cache = open_cache(dataset.folder, dataset.info.root, dataset.samples, config.cache_side_px)
    classes = [dataset.labels.index(sample.label) for sample in dataset.samples]
    return TrainingViews(cache, range(len(dataset.samples)), classes, config)


def test_a_photo_drawn_again_in_an_epoch_is_seen_in_another_view(tiny_dataset: Dataset) -> None:
    views = views_of(tiny_dataset, make_recipe("debug"))
    first, again = views[4], views[4 + len(views)]
    assert first[1] == again[1]
    assert not first[0].equal(again[0])
    assert again[0].equal(views[4 + len(views)][0])


@pytest.mark.parametrize("workers", [1, 2])
def test_balanced_batches_are_the_same_at_any_number_of_workers(tiny_dataset: Dataset, workers: int) -> None:
    def batches(num_workers: int) -> list[torch.Tensor]:
        config = make_recipe("debug").with_(workers=num_workers)
        views = views_of(tiny_dataset, config)
        order = epoch_order(Sampling(name="class_balanced"), views.classes, 3, seed=0, epoch=1, epochs=2)
        loader: DataLoader[tuple[torch.Tensor, int]] = training_loader(
            views, cut_to_batches(order, config.optimisation.batch_size), config
        )
        return [part for batch in loader for part in batch]

    alone = batches(0)
    assert len(alone) > 2
    assert all(one.equal(other) for one, other in zip(alone, batches(workers), strict=True))


@pytest.mark.parametrize("epochs", range(1, 11))
def test_what_is_deferred_comes_in_however_short_the_run_is(epochs: int) -> None:
    last = epochs - 1
    weighted = make_recipe("drw").with_(optimisation={"epochs": epochs})
    objective = make_objective(weighted, (90, 9))
    objective.epoch = last
    assert not objective.weights().equal(torch.ones(2))
    drawn = class_shares(Sampling(name="class_balanced", after=0.8), [90, 9], epoch=last, epochs=epochs)
    assert drawn.tolist() == [0.5, 0.5]


def test_a_class_without_photos_is_never_drawn() -> None:
    for name in ("class_balanced", "square_root", "progressive", "resampled"):
        shares = class_shares(Sampling(name=name, at_least=5), [9, 0, 1], epoch=1, epochs=2)
        assert shares[1] == 0.0
        assert float(np.sum(shares)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": EffectiveNumber(beta=0.9, after=0.5)},
        {"sampling": Sampling(name="class_balanced", after=0.5)},
        {
            "loss": LDAM(),
            "model": {"head": "cosine", "learn_scale": False},
            "weights": EffectiveNumber(beta=0.9, after=0.5),
            "experts": Experts(num=2, diversity=0.1),
        },
        {"mixing": Mixing(cmo=1.0, cmo_rest_epochs=1)},
    ],
    ids=["re-weighting", "re-sampling", "margins of experts", "patches"],
)
def test_a_run_stopped_before_or_behind_its_switch_ends_with_the_same_weights(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    config = make_recipe("debug").with_(optimisation={"epochs": 4, "lr": 0.05, "ema_decay": 0.0}, **changes)
    for name in ("whole", "stopped", "plain"):
        (tmp_path / name).mkdir()
    whole = train(config, tiny_dataset, tmp_path / "whole").state_dict()

    for stop in (1, 2, 3):
        with monkeypatch.context() as patched:
            patched.setattr("training.trainer.append_metrics", _stopping_after(stop))
            with pytest.raises(KeyboardInterrupt):
                train(config, tiny_dataset, tmp_path / "stopped")
    resumed = train(config, tiny_dataset, tmp_path / "stopped").state_dict()
    assert all(whole[key].equal(resumed[key]) for key in whole)

    without = config.with_(weights={"name": "equal"}, sampling={"name": "instance"}, mixing=Mixing())
    plain = train(without, tiny_dataset, tmp_path / "plain").state_dict()
    assert not all(whole[key].equal(plain[key]) for key in whole)


def _stopping_after(epochs: int) -> object:
    """A stand-in for writing the metrics that is killed in the epoch after ``epochs`` whole ones."""

    def stop(folder: Path, record: dict[str, object]) -> None:
        if record["epoch"] == epochs:
            raise KeyboardInterrupt

    return stop
