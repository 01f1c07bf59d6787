"""What is done to a network when its training has ended, and what is left alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.groups import GROUPS, Group
from tests.drawn_photos import draw_moth
from training.choices import Discriminant, PostHoc, Sampling
from training.classifier import make_classifier
from training.data.index import read_index
from training.data.prepared import Dataset, make_dataset
from training.finish import check_finish, finish, mix_backbone
from training.post_hoc import adjust_logits, best_prior_tau, macro_recall
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
        train(config.with_(stage=Discriminant(share=share)), dataset, folder)
    without, blended = (load_file(tmp_path / name / "final.safetensors") for name in ("0.0", "0.5"))
    differing = {key for key in without if not bool((without[key] == blended[key]).all())}
    assert differing == {"head.weight", "head.bias"}


def test_a_cosine_head_has_no_linear_map_to_blend() -> None:
    with pytest.raises(ValueError, match="head=linear"):
        make_recipe("transfer").with_(model={"head": "cosine"})


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"frozen_stages": 1}, r"give model\.pretrained, or model\.frozen_stages=0"),
        ({"frozen_stages": "all"}, r"give model\.pretrained, or model\.frozen_stages=0"),
        ({"batch_norm": "fold"}, r"give model\.pretrained, or model\.batch_norm=learn"),
    ],
)
def test_random_weights_are_neither_frozen_nor_folded(
    dataset: Dataset, model: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        check_finish(make_recipe("debug").with_(model=model), dataset)


def test_a_resampling_that_changes_nothing_is_refused_with_the_counts(dataset: Dataset) -> None:
    counts = dataset.info.training_counts
    idle = Sampling(name="resampled", at_least=min(counts), at_most=max(counts))
    with pytest.raises(ValueError, match=rf"{min(counts)} to {max(counts)} photos, .* changes nothing"):
        check_finish(make_recipe("debug").with_(sampling=idle), dataset)
    check_finish(
        make_recipe("debug").with_(sampling=Sampling(name="resampled", at_least=max(counts) + 1)), dataset
    )


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_share_of_every_weight_of_the_backbone_goes_back(share: float) -> None:
    config = make_recipe("debug")
    trained, began_as = make_classifier(config, 3), make_classifier(config, 3)
    trained.load_state_dict(began_as.state_dict())
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1.0)
    mix_backbone(trained.backbone, began_as.backbone, share)
    start = dict(began_as.backbone.named_parameters())
    for name, value in trained.backbone.named_parameters():
        assert torch.allclose(value, start[name] + 1 - share, atol=1e-5)


def test_it_goes_back_to_what_the_run_began_as_and_the_head_stays(dataset: Dataset, tmp_path: Path) -> None:
    weights = tmp_path / "start.safetensors"
    config = make_recipe("debug").with_(
        device="cpu",
        model={
            "backbone": "resnet18",
            "pretrained": str(weights),
            "batch_norm": "fold",
            "pretrained_share": 1.0,
        },
    )
    network = make_classifier(make_recipe("debug").with_(model={"backbone": "resnet18"}), 3).backbone.network
    save_file(network.state_dict(), weights)
    trained = make_classifier(config, 3)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1.0)
    head = trained.head.state_dict()["weight"].clone()
    finish(trained, config, dataset)
    start = dict(make_classifier(config, 3).backbone.named_parameters())
    assert all(
        torch.allclose(value, start[name], atol=1e-6) for name, value in trained.backbone.named_parameters()
    )
    assert torch.equal(trained.head.state_dict()["weight"], head)


def test_statistics_of_batch_normalisation_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="batch_norm=fold"):
        make_recipe("debug").with_(model={"pretrained_share": 0.5})


def test_equal_counts_shift_nothing() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 4))
    one_group: list[Group] = ["middle"] * 4
    tau = best_prior_tau(logits, np.arange(20) % 4, np.log([0.25] * 4), one_group)
    assert tau == 0


def test_tau_is_the_smallest_that_names_most_species_right() -> None:
    logits = np.array([[3.0, 0.0, 0.0], [2.0, 1.9, 0.0], [0.9, 0.0, 0.8]])
    labels, log_prior = np.array([0, 1, 2]), np.log([0.7, 0.2, 0.1])
    tau = best_prior_tau(logits, labels, log_prior, GROUPS)
    assert adjust_logits(logits, log_prior, tau=tau).argmax(1).tolist() == [0, 1, 2]
    assert adjust_logits(logits, log_prior, tau=tau - 0.1).argmax(1).tolist() != [0, 1, 2]


def test_the_one_head_species_with_photos_weighs_as_much_as_all_of_the_tail() -> None:
    """Two of three tail species would gain by a shift that costs the only head species that can be judged."""
    logits = np.array(
        [[1.0, 0.9, 0.9, 0.9], [1.0, 0.8, 0.0, 0.0], [1.0, 0.0, 0.8, 0.0], [0.0, 0.0, 0.0, 1.0]]
    )
    groups: list[Group] = ["head", "tail", "tail", "tail"]
    log_prior = np.log([0.7, 0.1, 0.1, 0.1])
    assert best_prior_tau(logits, np.arange(4), log_prior, groups) == 0
    shifted = adjust_logits(logits, log_prior, tau=0.2)
    assert macro_recall(shifted, np.arange(4)) > macro_recall(logits, np.arange(4))


def test_logits_that_need_no_shift_get_none() -> None:
    assert best_prior_tau(4 * np.eye(3), np.arange(3), np.log([0.9, 0.09, 0.01]), GROUPS) == 0


def test_choosing_tau_without_validation_photos_is_refused_before_the_first_epoch(dataset: Dataset) -> None:
    config = make_recipe("debug").with_(device="cpu", post_hoc=PostHoc(tau=None))
    with pytest.raises(ValueError, match=r"give post_hoc\.tau a number"):
        check_finish(config, dataset)
