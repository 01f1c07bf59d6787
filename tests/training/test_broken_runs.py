"""A run that cannot go on says where and why, and keeps the last good checkpoint."""

import errno
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from training.__main__ import main
from training.checkpoint import load_checkpoint, save_checkpoint, save_weights
from training.data.batches import epoch_batches
from training.data.cache import open_cache
from training.data.prepared import Dataset
from training.recipes import make_recipe
from training.state import begin
from training.step import NotFinite, take_step
from training.trainer import train


def test_a_loss_that_is_no_number_names_epoch_step_and_photos_and_keeps_the_checkpoint(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    first = make_recipe("debug").with_(optimisation={"epochs": 1, "batch_size": 4})
    train(first, tiny_dataset, tmp_path)
    saved = load_checkpoint(tmp_path)
    assert saved is not None
    saved["network"]["head.bias"][0] = torch.inf
    save_checkpoint(tmp_path, saved)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    names = r"epoch 2, step 1 of 3 \(photos species-\d/\d\.png, species-\d/\d\.png, species-\d/\d\.png and 1 more\)"
    with pytest.raises(ValueError, match="the loss is nan in " + names) as caught:
        train(first.with_(optimisation={"epochs": 2}), tiny_dataset, tmp_path)
    assert "lower optimisation.lr" in str(caught.value)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_gradient_that_is_no_number_changes_nothing(tiny_dataset: Dataset) -> None:
    config = make_recipe("debug").with_(optimisation={"batch_size": 4, "mixup_alpha": 0.0})
    state = begin(config, tiny_dataset)
    state.network.train()
    head = state.classifier.head
    assert isinstance(head, torch.nn.Linear)
    head.weight.register_hook(lambda gradient: gradient * torch.inf)  # type: ignore[no-untyped-call]
    batch = next(iter(epoch_batches(state.views, config, 3, 0)))
    before = head.weight.detach().clone()
    with pytest.raises(NotFinite, match="length of the gradient"):
        take_step(state, config, batch, np.random.default_rng(0))
    assert head.weight.equal(before)


def test_a_full_disk_keeps_the_checkpoint_before_and_says_so(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"epoch": 1, "network": {"weight": torch.ones(3)}})
    (tmp_path / "checkpoint.pt.part").symlink_to("/dev/full")
    with pytest.raises(
        OSError, match=r"epoch 2 could not be saved .* make room, then start the same command again"
    ):
        save_checkpoint(tmp_path, {"epoch": 2, "network": {"weight": torch.zeros(300_000)}})
    kept = load_checkpoint(tmp_path)
    assert kept is not None
    assert kept["epoch"] == 1
    assert kept["network"]["weight"].equal(torch.ones(3))
    save_checkpoint(tmp_path, {"epoch": 2, "network": {"weight": torch.zeros(3)}})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_final_weights_that_do_not_fit_on_the_disk_say_that_the_epochs_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("training.checkpoint.save_file", full)
    with pytest.raises(
        OSError, match=r"checkpoint of the last epoch is kept: make room, then start the same"
    ):
        save_weights(tmp_path, torch.nn.Linear(2, 2))
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_does_not_fit_on_the_disk_says_how_large_it_is_and_leaves_nothing_behind(
    tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stream: BinaryIO, pixels: np.ndarray) -> None:
        stream.write(b"half")
        raise FULL

    monkeypatch.setattr("training.data.cache.np.save", full)
    with pytest.raises(
        OSError, match=r"cache: 18 decoded photos, 0 MiB, could not be written .*: make room there"
    ):
        open_cache(tiny_dataset.folder, tiny_dataset.info.root, tiny_dataset.samples, 41)
    assert not list((tiny_dataset.folder / "cache").glob("*-41*"))


def test_a_loss_that_is_no_number_at_once_does_not_speak_of_a_checkpoint(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    endless = make_recipe("debug").with_(optimisation={"epochs": 1, "lr": 1e30, "clip_norm": 0.0})
    with pytest.raises(
        ValueError, match=r"in epoch 1, step 2 of 2 .*: no epoch was finished before it; begin another"
    ):
        train(endless, tiny_dataset, tmp_path)
    assert load_checkpoint(tmp_path) is None


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "optimisation.epochs=zero",
            "error: optimisation.epochs: Input should be a valid integer, unable to parse",
        ),
        (
            "sampling.name=class_balanced",
            "error: the class prior is corrected 2 times, by sampling=class_balanced",
        ),
        ("optimisation.epoch=3", "error: unknown key 'optimisation.epoch': choose from epochs, "),
    ],
)
def test_what_a_user_got_wrong_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str, said: str
) -> None:
    words = [
        "training",
        "train",
        "--recipe",
        "balanced_softmax",
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path),
    ]
    monkeypatch.setattr("sys.argv", [*words, word])
    with pytest.raises(SystemExit) as ended:
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert line.startswith(said)
    assert "pydantic" not in line


def test_a_full_disk_is_called_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise FULL

    monkeypatch.setattr("training.__main__.app", full)
    with pytest.raises(SystemExit):
        main()
    assert "the disk is full: make room, then start the same command again" in capsys.readouterr().err
