"""What is done to a network when its training has ended, and what is left alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.drawn_photos import draw_moth
from training.classifier import make_classifier
from training.config import RunConfig
from training.data.index import read_index
from training.data.prepared import Dataset, make_dataset
from training.finish import chosen_shift, finish
from training.recipes import make_recipe
from training.trainer import train


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("photos")
    for kind in range(3):
        (folder / f"species-{kind}").mkdir()
        for number in range(4):
            draw_moth(kind, seed=number, size=(48, 48)).save(folder / f"species-{kind}" / f"{number}.png")
    index = read_index(folder)
    samples = [replace(sample, split="train") for sample in index.samples]
    return make_dataset(
        tmp_path_factory.mktemp("data"), index.root, samples, index.taxa, command="prepare", num_problems=0
    )


def test_in_a_run_it_changes_the_head_and_not_a_bit_of_the_backbone(dataset: Dataset, tmp_path: Path) -> None:
    config = make_recipe("debug").with_(device="cpu")
    for share in (0.0, 0.5):
        folder = tmp_path / str(share)
        folder.mkdir()
        train(config.with_(finish={"discriminant_share": share}), dataset, folder)
    without, blended = (load_file(tmp_path / name / "final.safetensors") for name in ("0.0", "0.5"))
    differing = {key for key in without if not bool((without[key] == blended[key]).all())}
    assert differing == {"head.weight", "head.bias"}


def test_a_cosine_head_has_no_linear_map_to_blend() -> None:
    with pytest.raises(ValueError, match="head=linear"):
        make_recipe("transfer").with_(model={"head": "cosine"})


@pytest.fixture(scope="module")
def folded() -> RunConfig:
    """A network without batch normalisation to learn, so that weights can be mixed."""
    return make_recipe("debug").with_(device="cpu", model={"backbone": "resnet18", "batch_norm": "fold"})


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_share_of_the_backbone_is_what_it_began_as(
    dataset: Dataset, folded: RunConfig, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    began_as, trained = make_classifier(folded, 3), make_classifier(folded, 3)
    monkeypatch.setattr("training.finish.make_classifier", lambda *_: began_as)
    before = {name: value.detach().clone() for name, value in trained.backbone.named_parameters()}
    finish(trained, folded.with_(finish={"pretrained_share": share}), dataset)
    start = dict(began_as.backbone.named_parameters())
    for name, value in trained.backbone.named_parameters():
        assert torch.allclose(value, (1 - share) * before[name] + share * start[name], atol=1e-6)


def test_statistics_of_batch_normalisation_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="batch_norm=fold"):
        make_recipe("debug").with_(finish={"pretrained_share": 0.5})


def test_equal_counts_shift_nothing() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 4))
    assert (chosen_shift(logits, np.arange(20) % 4, (5, 5, 5, 5)) == 0).all()


def test_the_shift_is_the_smallest_that_names_most_species_right() -> None:
    logits = np.array([[3.0, 0.0, 0.0], [2.0, 1.9, 0.0], [0.9, 0.0, 0.8]])
    labels, counts = np.array([0, 1, 2]), (100, 10, 1)
    shift = chosen_shift(logits, labels, counts)
    assert (logits + shift).argmax(1).tolist() == [0, 1, 2]
    assert (np.diff(shift) > 0).all()
    assert (logits + 0.5 * shift).argmax(1).tolist() != [0, 1, 2]


def test_logits_that_need_no_shift_get_none() -> None:
    assert (chosen_shift(4 * np.eye(3), np.arange(3), (100, 10, 1)) == 0).all()


def test_choosing_tau_without_validation_photos_says_what_to_do(dataset: Dataset) -> None:
    config = make_recipe("debug").with_(device="cpu", finish={"choose_tau": True})
    with pytest.raises(ValueError, match="prepare the data with some"):
        finish(make_classifier(config, 3), config, dataset)
