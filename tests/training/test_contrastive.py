"""Contrast in a run: what it sees, what a kill may not lose, what is exported, and what it does not go with.

The losses themselves are among the identities of ``training.verify``.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training.killed import killed_after_one_epoch, same
from training.auxiliary import PaCo, SupCon
from training.checkpoint import load_checkpoint, save_checkpoint
from training.classifier import make_classifier
from training.config import RunConfig
from training.data.batches import epoch_batches
from training.data.cache import open_cache
from training.data.dataset import TrainingViews
from training.data.prepared import Dataset
from training.inference import places_of
from training.momentum import MomentumQueue, Projected
from training.overrides import apply_overrides
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.step_loss import make_step
from training.trained import load_run
from training.trainer import train


def contrasting(choice: PaCo | SupCon, **model: object) -> RunConfig:
    return make_recipe("debug").with_(
        contrastive=choice, device="cpu", optimisation={"mixup_alpha": 0.0}, model=model
    )


SUPCON = contrasting(SupCon(dim=8))
PACO = contrasting(PaCo(dim=8, alpha=0.5, momentum=0.8, queue=20))


def views_of(config: RunConfig, dataset: Dataset) -> TrainingViews:
    samples = dataset.split("train")
    cache = open_cache(dataset.folder, dataset.info.root, dataset.samples, config.cache_side_px)
    classes = [dataset.labels.index(sample.label) for sample in samples]
    return TrainingViews(cache, places_of(dataset, samples), classes, config)


def test_second_views_are_other_views_of_the_same_photos_in_every_batch(tiny_dataset: Dataset) -> None:
    config = SUPCON.with_(sampling={"name": "class_balanced"})
    views = views_of(config, tiny_dataset)
    for batch in epoch_batches(views, config, 3, 0):
        assert batch.second is not None
        again, labels = batch.second
        assert labels.equal(batch.labels_B)
        assert again.shape == batch.images_BCHW.shape
        assert not any(one.equal(other) for one, other in zip(batch.images_BCHW, again, strict=True))
    plain = list(epoch_batches(views, config.with_(contrastive={"name": "none"}), 3, 0))
    contrasted = list(epoch_batches(views, config, 3, 0))
    assert all(batch.second is None for batch in plain)
    assert all(a.images_BCHW.equal(b.images_BCHW) for a, b in zip(plain, contrasted, strict=True))


@pytest.mark.parametrize("config", [SUPCON, PACO], ids=["supcon", "paco"])
def test_a_killed_run_ends_with_the_same_weights_and_none_but_the_classifiers(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: RunConfig
) -> None:
    begin_run(tmp_path / "whole", config, tiny_dataset.folder, tiny_dataset.info.content_sha256, "train")
    trained = train(config, tiny_dataset, tmp_path / "whole")
    killed_after_one_epoch(config, tiny_dataset, tmp_path / "killed", monkeypatch)
    train(config, tiny_dataset, tmp_path / "killed")
    assert same(tmp_path / "whole", tmp_path / "killed")
    _, read = load_run(tmp_path / "whole", 3)
    plain = make_classifier(make_recipe("debug"), 3).state_dict().keys()
    assert load_file(tmp_path / "whole" / "final.safetensors").keys() == plain
    pixels = torch.rand(2, 3, 32, 32) * 255
    with torch.no_grad():
        torch.testing.assert_close(read(pixels), trained(pixels))


@pytest.mark.parametrize("lost", ["queue.num_pushed", "queue.encoder.projection.0.weight"])
def test_a_resumed_run_that_lost_its_queue_or_encoder_would_end_with_others(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    killed_after_one_epoch(PACO, tiny_dataset, tmp_path / "kept", monkeypatch)
    saved = load_checkpoint(tmp_path / "kept")
    assert saved is not None
    saved["step"][lost] = torch.zeros_like(saved["step"][lost])
    (tmp_path / "lost").mkdir()
    save_checkpoint(tmp_path / "lost", saved)
    for name in ("kept", "lost"):
        train(PACO, tiny_dataset, tmp_path / name)
    assert not same(tmp_path / "kept", tmp_path / "lost")


def test_contrast_changes_what_is_learnt(tiny_dataset: Dataset, tmp_path: Path) -> None:
    for name, config in (
        ("none", SUPCON.with_(contrastive={"name": "none"})),
        ("supcon", SUPCON),
        ("paco", PACO),
    ):
        (tmp_path / name).mkdir()
        train(config, tiny_dataset, tmp_path / name)
    assert not same(tmp_path / "none", tmp_path / "supcon")
    assert not same(tmp_path / "none", tmp_path / "paco")
    assert not same(tmp_path / "supcon", tmp_path / "paco")


def test_paco_trains_on_folded_batch_normalisation(tiny_dataset: Dataset, tmp_path: Path) -> None:
    weights = tmp_path / "start.safetensors"
    network = make_classifier(make_recipe("debug").with_(model={"backbone": "resnet18"}), 3).backbone.network
    save_file(network.state_dict(), weights)
    folded = {"backbone": "resnet18", "pretrained": str(weights), "batch_norm": "fold"}
    config = contrasting(PaCo(dim=8), **folded).with_(optimisation={"epochs": 1})
    begin_run(tmp_path / "run", config, tiny_dataset.folder, tiny_dataset.info.content_sha256, "train")
    train(config, tiny_dataset, tmp_path / "run")
    assert load_run(tmp_path / "run", 3)[0] == config


def test_the_encoder_of_keys_has_statistics_of_its_own_and_no_head() -> None:
    config = contrasting(PaCo(dim=8), frozen_stages=1)
    learning = Projected(make_classifier(config, 3), 8).train()
    queue = MomentumQueue(learning, 8, 16, 0.9)
    before = {key: value.clone() for key, value in learning.state_dict().items()}
    keys = queue.keys(torch.rand(4, 3, 32, 32) * 255)
    torch.testing.assert_close(keys.norm(dim=1), torch.ones(4))
    assert all(value.equal(before[key]) for key, value in learning.state_dict().items())
    changed = {key for key, value in queue.encoder.state_dict().items() if not value.equal(before[key])}
    assert changed
    assert {key.rpartition(".")[2] for key in changed} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    stem = {
        key
        for key in changed
        if key.startswith(("classifier.backbone.network.bn1.", "classifier.backbone.network.conv_stem."))
    }
    assert not stem, "frozen statistics stay"
    assert not any(".head." in key for key in queue.state_dict())
    assert not any(parameter.requires_grad for parameter in queue.parameters())


def test_only_the_projection_learns_beside_the_classifier() -> None:
    for config in (SUPCON, PACO):
        step = make_step(config, make_classifier(config, 3), (9, 3, 1))
        assert [tuple(p.shape) for p in step.added_parameters()][-1] == (8,)
        assert len(step.added_parameters()) == 4
    plain = make_recipe("debug")
    assert make_step(plain, make_classifier(plain, 3), (9, 3, 1)).added_parameters() == []


@pytest.mark.parametrize(
    ("recipe", "words", "why"),
    [
        ("baseline", ["contrastive.name=supcon"], r"optimisation\.mixup_alpha=0"),
        ("supcon", ["mixing.cmo=0.5"], "compares photos of one species"),
        ("supcon", ["experts.num=3"], r"use experts\.num=1"),
        ("paco", ["loss.name=focal"], "a loss of its own"),
        ("paco", ["loss.label_smoothing=0.1"], r"loss\.label_smoothing=0"),
        (
            "paco",
            ["loss.name=logit_adjusted"],
            "corrected 2 times, by loss=logit_adjusted and contrastive=paco",
        ),
        ("paco", ["post_hoc.tau=1"], "corrected 2 times"),
        ("paco", ["contrastive.beta=0"], "greater than 0"),
        ("supcon", ["contrastive.alpha=1"], r"unknown key 'contrastive\.alpha'"),
    ],
)
def test_contrast_that_cannot_be_is_refused(recipe: str, words: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        apply_overrides(make_recipe(recipe), words)


def test_paco_corrects_the_prior_once_and_not_at_all_without_shift_and_alpha() -> None:
    both = ["loss.name=logit_adjusted", "allow_double_correction=true"]
    assert apply_overrides(make_recipe("paco"), both).corrections == (
        "loss=logit_adjusted",
        "contrastive=paco",
    )
    assert make_recipe("paco").corrections == ("contrastive=paco",)
    assert make_recipe("paco").with_(stage={"name": "crt"}).corrections == ("stage=crt",)
    neither = ["contrastive.tau=0", "contrastive.alpha=0"]
    assert apply_overrides(make_recipe("paco"), neither).corrections == ()
