"""Every photo is judged once, by a network that never saw it, at a temperature that it did not help to fit."""

from pathlib import Path

import numpy as np
import pytest

from models import bundle
from tests.drawn_photos import draw_moth
from training.calibrate import fit_temperature
from training.crossval import _Judged, cross_validate, pool
from training.crossval_result import read_cross_validation
from training.data.index import Sample, read_index
from training.data.prepared import Dataset, make_dataset
from training.export import BundleText, export
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.trainer import train


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three drawn species, six photos each in two folds; the first photo of each fold is of one night."""
    folder = tmp_path_factory.mktemp("photos")
    rows = ["path,label,fold,session"]
    for kind, name in enumerate("abc"):
        for number in range(6):
            draw_moth(kind, seed=number, size=(48, 48)).save(folder / f"{name}{number}.png")
            night = "shared" if number in (0, 1) else f"{number}"
            rows.append(f"{name}{number}.png,{name},{number % 2 + 1},{night}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    index = read_index(folder / "index.csv")
    samples = [Sample(**{**vars(sample), "split": "train"}) for sample in index.samples]
    return make_dataset(
        tmp_path_factory.mktemp("data"), index.root, samples, index.taxa, command="prepare", num_problems=0
    )


def test_it_judges_every_photo_once_and_a_second_call_finds_the_same(
    dataset: Dataset, tmp_path: Path
) -> None:
    config = make_recipe("debug")
    first = cross_validate(config, dataset, tmp_path, "crossval")
    assert first.evaluation.num_test_images == first.num_images == len(dataset.samples)
    weights = {path: path.stat().st_mtime_ns for path in tmp_path.glob("fold-*/metrics.jsonl")}
    assert len(weights) == 2
    assert cross_validate(config, dataset, tmp_path, "crossval") == first == read_cross_validation(tmp_path)
    assert weights == {path: path.stat().st_mtime_ns for path in weights}
    assert "6 of these photos share a session" in " ".join(first.evaluation.notes)
    with pytest.raises(ValueError, match="holds a run with other settings"):
        cross_validate(config.with_(seed=1), dataset, tmp_path, "crossval")


def test_a_bundle_trained_on_all_photos_is_judged_by_it(dataset: Dataset, tmp_path: Path) -> None:
    config = make_recipe("debug")
    judged = cross_validate(config, dataset, tmp_path / "cv", "crossval words")
    begin_run(tmp_path / "run", config, dataset.folder, dataset.info.content_sha256, "train words")
    train(config, dataset, tmp_path / "run")
    written = export(
        tmp_path / "run",
        dataset,
        name="drawn",
        version="1.0.0",
        out=tmp_path / "store",
        text=BundleText(),
        crossval=judged,
    )
    card = bundle.read(written.path).card
    assert card.calibration.temperature == judged.temperature
    assert card.conformal == judged.conformal
    assert card.unknown is not None
    assert judged.unknown is not None
    assert card.unknown.thresholds == judged.unknown.thresholds
    assert card.unknown.foreign_from >= card.unknown.moth_up_to
    assert {table.num_images for table in card.conformal} == {len(dataset.samples)}
    assert card.provenance.commands == ("prepare", "crossval words", "train words")
    assert bundle.read(written.path).predictions == judged.predictions
    assert {each.sha256 for each in judged.predictions} == {sample.sha256 for sample in dataset.samples}
    assert "2-fold cross-validation" in (written.path / "README.md").read_text()


def test_a_folds_temperature_is_fitted_on_the_other_folds(dataset: Dataset) -> None:
    rng = np.random.default_rng(0)

    def judged(fold: str, scale: float) -> _Judged:
        samples = tuple(sample for sample in dataset.samples if sample.fold == fold)
        labels = np.array([dataset.labels.index(sample.label) for sample in samples])
        logits = rng.normal(size=(len(samples), 3)) * scale
        logits[np.arange(len(samples)), labels] += scale
        return _Judged(samples, logits, labels)

    sharp, flat = judged("1", 9.0), judged("2", 0.5)
    pooled = pool([sharp, flat], dataset, "crossval", logit_prior="none")
    assert fit_temperature(sharp.logits_NC, sharp.labels_N) > fit_temperature(flat.logits_NC, flat.labels_N)
    both = fit_temperature(
        np.concatenate([sharp.logits_NC, flat.logits_NC]), np.concatenate([sharp.labels_N, flat.labels_N])
    )
    assert pooled.temperature == both
    assert {report.num_calibration_images for report in pooled.evaluation.prediction_sets} == {9}
    assert pooled.evaluation.calibration is not None
    before, after = (
        getattr(pooled.evaluation.calibration.groups[0], name) for name in ("uncalibrated", "calibrated")
    )
    assert before.value != after.value == pooled.evaluation.ece


def test_data_without_folds_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    bare = dataset.with_samples([Sample(**{**vars(sample), "fold": ""}) for sample in dataset.samples])
    with pytest.raises(ValueError, match="two folds or more of what is judged: a fold column"):
        cross_validate(make_recipe("debug"), bare, tmp_path, "crossval")


def test_a_temperature_is_found_again_from_labels_drawn_at_it() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4000, 6)) * 3
    chances = np.exp(logits / 2.0)
    chances /= chances.sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    assert fit_temperature(logits, labels) == pytest.approx(2.0, rel=0.1)
    assert fit_temperature(logits * 2, labels) == pytest.approx(4.0, rel=0.1)
    with pytest.raises(ValueError, match="at least one image"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=np.int64))
