"""A run that cannot go on says where and why, and keeps the last good checkpoint."""

import contextlib
import errno
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from training.__main__ import main
from training.checkpoint import load_checkpoint, save_checkpoint, save_weights
from training.data import cache
from training.data.batches import epoch_batches
from training.data.cache import open_cache
from training.data.prepared import Dataset
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.state import TrainingState, begin
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


def test_a_gradient_that_overflows_in_the_last_step_of_an_epoch_leaves_the_checkpoint_before(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a next step nor validation would notice: weights that are no numbers would be what is resumed from."""
    dataset = tiny_dataset.with_samples(
        [replace(sample, split=sample.split.replace("val", "train")) for sample in tiny_dataset.samples]
    )
    config = make_recipe("debug").with_(optimisation={"epochs": 1, "batch_size": 4, "clip_norm": 0.0})
    train(config, dataset, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    steps = count(1)

    def begin_to_overflow(*arguments: Any) -> TrainingState:
        state = begin(*arguments)
        head = state.classifier.head
        assert isinstance(head, torch.nn.Linear)
        head.weight.register_hook(lambda each: each * torch.inf if next(steps) == 4 else each)  # type: ignore[no-untyped-call]
        return state

    monkeypatch.setattr("training.trainer.begin", begin_to_overflow)
    with pytest.raises(ValueError, match=r"length of the gradient is \w+ in epoch 2, step 4 of 4 .*is kept"):
        train(config.with_(optimisation={"epochs": 2}), dataset, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


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


@contextlib.contextmanager
def files_of_at_most(num_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_weights_are_on_the_disk_before_they_have_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could leave a run that looks finished without weights."""
    flushed = []
    monkeypatch.setattr("os.fsync", lambda _: flushed.append([path.name for path in tmp_path.iterdir()]))
    save_weights(tmp_path, torch.nn.Linear(2, 2))
    assert flushed == [["final.safetensors.part"]]
    assert [path.name for path in tmp_path.iterdir()] == ["final.safetensors"]


def test_a_run_that_is_cut_off_while_it_writes_what_it_is_can_be_started_again(tmp_path: Path) -> None:
    """A part of ``config.json`` would be of a run with other settings, for ever."""
    config = make_recipe("debug")
    started = (tmp_path, config, Path("data"), "0" * 64, "train")
    size = len(config.model_dump_json(indent=1))
    with files_of_at_most(size - 1), pytest.raises(OSError, match="too large"):
        begin_run(*started)
    assert not (tmp_path / "config.json").exists()
    begin_run(*started)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "run.json"]
    begin_run(*started)


def test_a_cache_that_does_not_fit_on_the_disk_says_how_far_it_came_and_leaves_nothing_behind(
    tiny_dataset: Dataset,
) -> None:
    with (
        files_of_at_most(20_000),
        pytest.raises(OSError, match=r"cache: 18 decoded photos could not be written; .*: make room there"),
    ):
        open_cache(tiny_dataset.folder, tiny_dataset.info.root, tiny_dataset.samples, 41)
    assert not list((tiny_dataset.folder / "cache").glob("*-41*"))


def test_runs_that_begin_together_decode_their_photos_once(
    tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    build = cache._build

    def counted(*arguments: Any) -> None:
        built.append(arguments)
        build(*arguments)

    monkeypatch.setattr(cache, "_build", counted)

    def opened(_number: int) -> bytes:
        return open_cache(tiny_dataset.folder, tiny_dataset.info.root, tiny_dataset.samples, 43)[17].tobytes()

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(opened, range(4)))) == 1
    assert len(built) == 1


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
