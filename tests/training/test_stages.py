"""Second stages and post-hoc adjustment in a real run: what they change, and that they change nothing else."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.preprocess import Preprocessing
from training.classifier import Classifier
from training.config import RunConfig
from training.data.prepared import Dataset
from training.finish import finish, shift_batch_norm, take_prior
from training.inference import evaluation_cache, network_logits
from training.losses import log_prior
from training.overrides import apply_overrides
from training.recipes import make_recipe
from training.trainer import train


def tiny(*words: str) -> RunConfig:
    return apply_overrides(make_recipe("debug"), ["optimisation.epochs=1", *words])


def trained(config: RunConfig, dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    """The network of a configuration as it is before its second stage."""
    with monkeypatch.context() as patched:
        patched.setattr("training.trainer.finish", lambda *_: None)
        return train(config, dataset, folder)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


@pytest.mark.parametrize(
    "words",
    [
        ("stage.name=crt",),
        ("stage.name=lws",),
        ("stage.name=tau_norm", "stage.tau=1"),
        ("stage.name=mislas", "stage.shift_batch_norm=false"),
        ("stage.name=ncm", "model.head=cosine"),
    ],
    ids=lambda words: words[0],
)
def test_a_second_stage_changes_the_head_and_not_one_bit_of_the_backbone(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    config = tiny(*words)
    network = trained(config, tiny_dataset, tmp_path, monkeypatch)
    backbone, head = state(network.backbone), state(network.head)
    assert any("running_mean" in key for key in backbone)
    finish(network, config, tiny_dataset)
    assert all(value.equal(backbone[key]) for key, value in network.backbone.state_dict().items())
    assert not network.head.state_dict()["weight"].equal(head["weight"])


def test_shifting_moves_the_statistics_of_batch_normalisation_and_no_weight(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny("stage.name=mislas")
    network = trained(config, tiny_dataset, tmp_path, monkeypatch)
    before = state(network.backbone)
    finish(network, config, tiny_dataset)
    changed = {key for key, value in network.backbone.state_dict().items() if not value.equal(before[key])}
    assert {key.rpartition(".")[2] for key in changed} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_frozen_statistics_are_not_shifted(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = trained(tiny(), tiny_dataset, tmp_path, monkeypatch)
    network.backbone.requires_grad_(False)
    before = state(network.backbone)
    photos = evaluation_cache(tiny_dataset, Preprocessing(size_px=32, fit="crop"))
    shift_batch_norm(network, photos, [0, 1, 2])
    assert all(value.equal(before[key]) for key, value in network.backbone.state_dict().items())


def test_the_post_hoc_prior_leaves_by_way_of_the_bias(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny("post_hoc.tau=1")
    counts = tiny_dataset.info.training_counts
    photos = evaluation_cache(tiny_dataset, Preprocessing(size_px=32, fit="crop"))
    network = trained(config, tiny_dataset, tmp_path, monkeypatch)
    before = network_logits(network, photos, [0, 1, 2], torch.device("cpu"))
    finish(network, config, tiny_dataset)
    after = network_logits(network, photos, [0, 1, 2], torch.device("cpu"))
    np.testing.assert_allclose(after, before - log_prior(counts).numpy(), atol=1e-5)
    assert np.argmax((after - before)[0]) == np.argmin(counts)


def test_a_finished_run_started_again_takes_its_prior_once(tiny_dataset: Dataset, tmp_path: Path) -> None:
    config = tiny("post_hoc.tau=1")
    train(config, tiny_dataset, tmp_path)
    first = load_file(tmp_path / "final.safetensors")
    train(config, tiny_dataset, tmp_path)
    again = load_file(tmp_path / "final.safetensors")
    assert all(first[key].equal(again[key]) for key in first)


def test_taking_the_prior_twice_at_half_strength_is_taking_it_once() -> None:
    halves, whole = nn.Linear(4, 3), nn.Linear(4, 3)
    whole.load_state_dict(halves.state_dict())
    for head, tau in ((halves, 0.5), (halves, 0.5), (whole, 1.0)):
        take_prior(head, (9, 3, 1), tau)
    torch.testing.assert_close(halves.bias, whole.bias)
    assert halves.weight.equal(whole.weight)


def test_a_tau_of_0_leaves_the_head_as_it_is_with_its_bias(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny("stage.name=tau_norm", "stage.tau=0")
    network = trained(config, tiny_dataset, tmp_path, monkeypatch)
    before = state(network)
    finish(network, config, tiny_dataset)
    assert all(value.equal(before[key]) for key, value in network.state_dict().items())


def test_tau_is_chosen_on_validation_photos(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny("stage.name=tau_norm")
    network = trained(config, tiny_dataset, tmp_path, monkeypatch)
    finish(network, config, tiny_dataset)
    assert cast(nn.Linear, network.head).bias.equal(torch.zeros(3))


def test_without_validation_photos_tau_is_asked_for_before_anything_is_trained(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    without = tiny_dataset.with_samples(tiny_dataset.split("train"))
    with pytest.raises(ValueError, match=r"give stage\.tau a number"):
        train(tiny("stage.name=tau_norm"), without, tmp_path)
    assert not list(tmp_path.iterdir())
    train(tiny("stage.name=tau_norm", "stage.tau=1"), without, tmp_path)


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (("model.head=cosine", "stage.name=lws"), "stage=lws needs model.head=linear"),
        (("stage.name=ncm",), "stage=ncm needs model.head=cosine"),
        (("model.head=cosine", "post_hoc.tau=1"), "use model.head=linear"),
    ],
)
def test_a_stage_that_the_head_cannot_have_is_refused_with_the_one_it_needs(
    words: tuple[str, ...], needed: str
) -> None:
    with pytest.raises(ValueError, match=needed):
        tiny(*words)
