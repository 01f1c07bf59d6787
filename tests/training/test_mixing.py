"""Mixing and augmentation policies in a real run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.choices import Mixing
from training.config import Augment, RunConfig
from training.data.batches import Batch, epoch_batches
from training.data.cache import open_cache
from training.data.dataset import TrainingViews
from training.data.prepared import Dataset
from training.mixing import Labelled, Mixer
from training.recipes import make_recipe
from training.trainer import train


def batches(config: RunConfig, dataset: Dataset, epoch: int) -> list[Batch]:
    cache = open_cache(dataset.folder, dataset.info.root, dataset.samples, config.cache_side_px)
    classes = [dataset.labels.index(sample.label) for sample in dataset.samples]
    views = TrainingViews(cache, range(len(dataset.samples)), classes, config)
    return list(epoch_batches(views, config, len(dataset.labels), epoch))


def with_foregrounds(workers: int = 0) -> RunConfig:
    return make_recipe("debug").with_(
        mixing=Mixing(cmo=1.0, cmo_rest_epochs=1), optimisation={"epochs": 3}, workers=workers
    )


def test_every_batch_gets_as_many_foregrounds_as_it_has_images_and_resting_epochs_get_none(
    tiny_dataset: Dataset,
) -> None:
    found = batches(with_foregrounds(), tiny_dataset, epoch=1)
    assert [len(batch.labels_B) for batch in found] == [8, 8, 2]
    for batch in found:
        assert batch.foreground is not None
        patches, classes = batch.foreground
        assert patches.shape == batch.images_BCHW.shape
        assert classes.shape == batch.labels_B.shape
    for epoch in (0, 2):
        assert all(batch.foreground is None for batch in batches(with_foregrounds(), tiny_dataset, epoch))


def test_foregrounds_are_the_same_at_any_number_of_workers(tiny_dataset: Dataset) -> None:
    alone, two = (batches(with_foregrounds(workers), tiny_dataset, epoch=1) for workers in (0, 2))
    for one, other in zip(alone, two, strict=True):
        assert one.foreground is not None
        assert other.foreground is not None
        assert one.images_BCHW.equal(other.images_BCHW)
        assert all(a.equal(b) for a, b in zip(one.foreground, other.foreground, strict=True))


def test_a_photo_is_never_pasted_over_its_own_view(tiny_dataset: Dataset) -> None:
    (first, *_) = batches(with_foregrounds(), tiny_dataset, epoch=1)
    assert first.foreground is not None
    for image in first.images_BCHW:
        assert not any(image.equal(patch) for patch in first.foreground[0])


def test_patches_that_would_never_come_are_refused() -> None:
    with pytest.raises(ValueError, match="first and last 3 epochs, and there are 6: it would do nothing"):
        make_recipe("cmo").with_(optimisation={"epochs": 6})
    assert make_recipe("cmo").with_(optimisation={"epochs": 7}).mixing.cmo == 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"mixing": Mixing(cmo=1.0, cmo_rest_epochs=0)},
        {"mixing": Mixing(remix=True, kappa=1.0, remix_tau=1.0)},
        {"augment": Augment(policy="randaugment")},
        {"augment": Augment(policy="trivialaugment")},
    ],
    ids=["CMO", "Remix", "RandAugment", "TrivialAugment"],
)
def test_a_run_really_uses_it_and_repeats_itself(
    tiny_dataset: Dataset, tmp_path: Path, changes: dict[str, object]
) -> None:
    plain = make_recipe("debug").with_(optimisation={"epochs": 1, "ema_decay": 0.0, "mixup_alpha": 1.0})
    weights = []
    for name, config in (("plain", plain), ("a", plain.with_(**changes)), ("b", plain.with_(**changes))):
        (tmp_path / name).mkdir()
        weights.append(train(config, tiny_dataset, tmp_path / name).state_dict())
    without, first, again = weights
    assert all(first[key].equal(again[key]) for key in first)
    assert not all(first[key].equal(without[key]) for key in first)


def test_the_loss_of_a_remixed_image_is_shared_image_by_image() -> None:
    config = make_recipe("remix")
    images = Labelled(torch.zeros(4, 3, 8, 8), torch.tensor([0, 0, 1, 1]))
    for seed in range(20):
        batch = Mixer(config, (90, 2))(images, np.random.default_rng(seed))
        assert isinstance(batch.share, torch.Tensor)
        apart = batch.labels_B != batch.other_labels_B
        rare_share = torch.where(batch.labels_B == 1, batch.share, 1 - batch.share)
        assert bool(((rare_share == 1) | (rare_share < 0.5))[apart].all())
