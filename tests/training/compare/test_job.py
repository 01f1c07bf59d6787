"""One run of a comparison: on epochs of its own or of another it ends with the same weights, and says what it is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from models.preprocess import Preprocessing
from training.auxiliary import Distillation
from training.calibrate import fit_temperature
from training.checkpoint import CHECKPOINT, METRICS, WEIGHTS
from training.choices import CRT, LWS, PostHoc, Stage, TauNorm
from training.classifier import Classifier, make_classifier
from training.compare import job
from training.compare.job import Job, run_job
from training.compare.plan import epochs_key
from training.compare.record import RunResult
from training.config import RunConfig
from training.data.prepared import Dataset, write_dataset
from training.inference import evaluation_cache, network_logits, places_of
from training.recipes import make_recipe
from training.trained import load_run
from training.trainer import finish_from, train, train_epochs


@pytest.fixture(scope="module")
def data(tiny_dataset: Dataset) -> Path:
    write_dataset(tiny_dataset, [])
    return tiny_dataset.folder


def config_of(recipe: str, *, stage: Stage | None = None, tau: float = 0.0) -> RunConfig:
    config = make_recipe("debug").with_(recipe=recipe, device="cpu", threads=1, post_hoc=PostHoc(tau=tau))
    return config.with_(stage=stage) if stage else config


def run(config: RunConfig, data: Path, folder: Path, epochs: Path | None = None) -> RunResult:
    return run_job(Job(config=config, data=data, command="compare", epochs_folder=epochs), folder)


def same_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one / WEIGHTS), load_file(other / WEIGHTS)
    return first.keys() == second.keys() and all(bool((first[key] == second[key]).all()) for key in first)


def assert_shared_is_alone(config: RunConfig, other: RunConfig, dataset: Dataset, folder: Path) -> None:
    """``config`` finished on the epochs of ``other`` has the weights that it has where it trains alone."""
    for name in ("alone", "epochs", "shared"):
        (folder / name).mkdir()
    train(config, dataset, folder / "alone")
    assert epochs_key(other) == epochs_key(config)
    train_epochs(other, dataset, folder / "epochs")
    finish_from(config, dataset, folder / "epochs", folder / "shared")
    assert same_weights(folder / "alone", folder / "shared")
    assert not (folder / "shared" / CHECKPOINT).exists()


@pytest.mark.parametrize(
    "config",
    [
        config_of("crt", stage=CRT(epochs=2)),
        config_of("lws", stage=LWS(epochs=2)),
        config_of("tau_norm", stage=TauNorm()),
        config_of("post_hoc", tau=1.0),
        config_of("plain"),
    ],
    ids=lambda config: config.recipe,
)
def test_a_finish_on_anothers_epochs_is_bit_for_bit_the_run_alone(
    config: RunConfig, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    assert_shared_is_alone(config, config_of("other", tau=0.3), tiny_dataset, tmp_path)


def test_weights_that_go_back_do_so_on_anothers_epochs_too(tiny_dataset: Dataset, tmp_path: Path) -> None:
    begin = tmp_path / "begin.safetensors"
    small = make_recipe("debug").with_(model={"backbone": "resnet18"})
    save_file(make_classifier(small, 3).backbone.network.state_dict(), begin)
    config = small.with_(
        device="cpu",
        threads=1,
        model={"pretrained": str(begin), "batch_norm": "fold", "pretrained_share": 0.5},
    )
    assert_shared_is_alone(config, config.with_(model={"pretrained_share": 0.0}), tiny_dataset, tmp_path)


def test_epochs_that_are_not_complete_finish_nothing(tiny_dataset: Dataset, tmp_path: Path) -> None:
    train_epochs(config_of("short").with_(optimisation={"epochs": 1}), tiny_dataset, tmp_path)
    with pytest.raises(ValueError, match="its epochs are not complete"):
        finish_from(config_of("long"), tiny_dataset, tmp_path, tmp_path)


def test_a_result_says_what_the_finished_network_says(
    data: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    result = run(config_of("plain"), data, tmp_path / "plain")
    _, classifier = load_run(tmp_path / "plain", len(tiny_dataset.labels))
    logits, labels = logits_of(classifier, tiny_dataset, "val"), [0, 1, 2]
    assert result.temperature == fit_temperature(logits, np.array(labels))
    for split, said in (("val", result.validation), ("test", result.test)):
        logits = logits_of(classifier, tiny_dataset, split)
        assert list(said.predicted) == logits.argmax(axis=1).tolist()
        assert list(said.labels) == labels
        scaled = np.exp((logits - logits.max(axis=1, keepdims=True)) / result.temperature)
        expected = (scaled / scaled.sum(axis=1, keepdims=True)).max(axis=1)
        assert said.confidence == pytest.approx(expected.tolist(), abs=1e-12)
    assert (result.key, result.num_classes) == ("plain-test_efficientnet-0", 3)
    assert result.data_sha256 == tiny_dataset.info.content_sha256
    assert result.cost.num_parameters == sum(parameter.numel() for parameter in classifier.parameters())


def logits_of(classifier: Classifier, dataset: Dataset, split: str) -> NDArray[np.float64]:
    photos = evaluation_cache(dataset, Preprocessing(size_px=32, fit="crop"))
    return network_logits(classifier, photos, places_of(dataset, dataset.split(split)), torch.device("cpu"))


def test_shared_epochs_cost_what_they_cost_the_run_that_made_them(data: Path, tmp_path: Path) -> None:
    own = run(config_of("plain"), data, tmp_path / "plain")
    shared = run(config_of("lws", stage=LWS(epochs=2)), data, tmp_path / "lws", tmp_path / "plain")
    assert (own.cost.shared_epochs, shared.cost.shared_epochs) == (False, True)
    assert shared.cost.minutes == own.cost.minutes > 0
    assert shared.cost.images_per_s == own.cost.images_per_s
    assert shared.validation != own.validation


def test_memory_is_that_of_the_epochs_where_these_took_more_than_the_finish(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peaks = iter([900.0, 910.0, 300.0, 920.0, 300.0])  # of a process: after its epochs, after its finish
    monkeypatch.setattr(job, "peak_memory_mib", lambda device: next(peaks))
    assert run(config_of("plain"), data, tmp_path / "plain").cost.peak_memory_mib == 910
    lws = config_of("lws", stage=LWS(epochs=2))
    assert run(lws, data, tmp_path / "lws", tmp_path / "plain").cost.peak_memory_mib == 900
    assert run(lws, data, tmp_path / "lws", tmp_path / "plain").cost.peak_memory_mib == 920
    assert run(config_of("plain"), data, tmp_path / "plain", tmp_path / "plain").cost.peak_memory_mib == 900


def test_what_teachers_took_is_a_cost_of_the_run_that_learns_from_them(data: Path, tmp_path: Path) -> None:
    config = config_of("taught").with_(distillation=Distillation(teachers=2, teacher_epochs=1))
    cost = run(config, data, tmp_path / "run").cost
    folders = [tmp_path / "run" / name for name in ("", "teacher-1", "teacher-2")]
    own, *teachers = [seconds_of(folder) for folder in folders]
    assert [len(seconds) for seconds in (own, *teachers)] == [config.optimisation.epochs, 1, 1]
    assert cost.minutes == pytest.approx(sum(map(sum, [own, *teachers])) / 60)
    assert cost.images_per_s == pytest.approx(len(own) * 12 / sum(own))
    shared = run(config.with_(recipe="other"), data, tmp_path / "other", tmp_path / "run").cost
    assert (shared.minutes, shared.shared_epochs) == (cost.minutes, True)


def seconds_of(folder: Path) -> list[float]:
    return [json.loads(line)["seconds"] for line in (folder / METRICS).read_text().splitlines()]


def test_a_run_made_again_says_the_same(data: Path, tmp_path: Path) -> None:
    first = run(config_of("plain"), data, tmp_path)
    again = run(config_of("plain"), data, tmp_path)
    assert again.model_copy(update={"cost": first.cost}) == first
    assert (again.cost.minutes, again.cost.images_per_s) == (first.cost.minutes, first.cost.images_per_s)


def test_a_loss_that_is_no_number_ends_a_run_with_what_to_do(data: Path, tmp_path: Path) -> None:
    config = config_of("hot").with_(optimisation={"lr": 1e30, "clip_norm": 0.0, "warmup_epochs": 0.0})
    with pytest.raises(ValueError, match=r"the loss is (nan|inf) in epoch 1, step .* lower optimisation\.lr"):
        run(config, data, tmp_path)


def test_what_cannot_be_finished_is_refused_before_the_first_epoch(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    blind = tiny_dataset.with_samples([one for one in tiny_dataset.samples if one.split != "val"])
    write_dataset(Dataset(tmp_path / "data", blind.info, blind.samples), [])
    with pytest.raises(ValueError, match="tau is chosen on validation photos"):
        run(config_of("tau_norm", stage=TauNorm()), tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run" / CHECKPOINT).exists()
