"""Networks that learn from validation photos too, each from all but one fold of them, and their mean."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from models import bundle
from tests.drawn_photos import draw_moth
from training.backbones import make_backbone
from training.config import RunConfig
from training.crossval import cross_validate
from training.crossval_result import CrossValidation, cross_validation_of
from training.data.index import Sample, read_index
from training.data.prepared import Dataset, make_dataset
from training.data.split import fold_validation, without_fold
from training.export import BundleText, export
from training.judge_added import _of_run
from training.judged import answers_of, evaluate_models
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.trainer import train

SPLITS = {
    "a": "train train train train val val test",
    "b": "train train train val val test",
    "c": "train val val test",
}


def val_photos(*sessions: str, label: str = "a", first: int = 0) -> list[Sample]:
    return [
        Sample(f"{label}{row}.png", label, row, split="val", session=session)
        for row, session in enumerate(sessions, start=first)
    ]


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three drawn species of 4, 3 and 1 training photos, two validation photos each in two folds, and a test photo."""
    photos = tmp_path_factory.mktemp("photos")
    rows = ["path,label,split"]
    for kind, (label, splits) in enumerate(SPLITS.items()):
        for number, split in enumerate(splits.split()):
            draw_moth(kind, seed=number, size=(48, 48)).save(photos / f"{label}{number}.png")
            rows.append(f"{label}{number}.png,{label},{split}")
    (photos / "index.csv").write_text("\n".join(rows) + "\n")
    index = read_index(photos / "index.csv")
    samples = fold_validation(index.samples, 2, seed=0)
    folder = tmp_path_factory.mktemp("data")
    return make_dataset(folder, index.root, samples, index.taxa, command="prepare", num_problems=0)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    path = tmp_path_factory.mktemp("weights") / "pretrained.safetensors"
    save_file(make_backbone("test_efficientnet", "none", 32).network.state_dict(), path)
    return make_recipe("debug").with_(
        device="cpu",
        model={"pretrained": str(path), "batch_norm": "fold"},
        optimisation={"epochs": 2},
        post_hoc={"tau": None},
    )


@pytest.fixture(scope="module")
def mean(
    folded: Dataset, config: RunConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, CrossValidation]:
    folder = tmp_path_factory.mktemp("runs") / "mean"
    return folder, cross_validate(config, folded, folder, "crossval words", mean=True)


def test_folds_of_validation_photos_are_of_one_size_and_keep_sessions_together() -> None:
    rows = [
        *val_photos("", "", "", "", "", label="a"),
        *val_photos("n", "n", "m", "", label="b", first=5),
        Sample("t.png", "a", 9, split="train", fold="2"),
    ]
    cut = fold_validation(rows, 2, seed=1)
    assert cut == fold_validation(rows, 2, seed=1)
    by_label = {label: Counter(each.fold for each in cut[:9] if each.label == label) for label in "ab"}
    assert sorted(by_label["a"].values()) == [2, 3]
    assert len({each.fold for each in cut if each.session == "n"}) == 1
    assert cut[9].fold == "", "a training photo is learnt from by every network"


@pytest.mark.parametrize(("num_folds", "complaint"), [(1, "give 2 or more"), (3, "2 validation photos")])
def test_too_few_folds_or_too_few_photos_for_them_are_refused(num_folds: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        fold_validation(val_photos("", ""), num_folds, seed=0)


def test_a_network_learns_from_all_but_its_fold_and_never_from_the_test_split(folded: Dataset) -> None:
    for fold in "12":
        splits = {each.row: each.split for each in without_fold(folded.samples, fold)}
        for each in folded.samples:
            expected = None if each.split == "test" else "test" if each.fold == fold else "train"
            assert splits.get(each.row) == expected


def test_data_that_learns_from_validation_counts_it_and_keeps_its_groups_and_its_hash(
    folded: Dataset,
) -> None:
    whole = folded.learning_from_validation()
    assert folded.info.training_counts == (4, 3, 1)
    assert whole.info.training_counts == (6, 5, 3)
    assert whole.groups == folded.groups == ("head", "middle", "tail")
    assert whole.info.content_sha256 == folded.info.content_sha256
    assert not whole.split("val")
    assert whole.split("test") == folded.split("test")
    assert whole.learning_from_validation() is whole


def test_a_list_of_terciles_stays_one_where_five_photos_more_would_make_it_one_of_cut_offs(
    folded: Dataset,
) -> None:
    more = [
        Sample(f"{label}{number}", label, 100 * place + number, split=split)
        for place, (label, num) in enumerate({"a": 98, "b": 40, "c": 2}.items())
        for split, many in (("train", num), ("val", 5))
        for number in range(1000 * (split == "val"), 1000 * (split == "val") + many)
    ]
    data = folded.with_samples(more)
    assert data.info.group_rule.kind == "terciles"
    assert data.learning_from_validation().info.group_rule.kind == "terciles"
    assert data.learning_from_validation().groups == data.groups


def test_the_run_is_the_mean_of_the_folds_networks_with_what_is_left_of_the_prior_taken_out(
    mean: tuple[Path, CrossValidation], folded: Dataset
) -> None:
    folder, result = mean
    saved, one, two = (load_file(folder / place / "final.safetensors") for place in (".", "fold-1", "fold-2"))
    counts = np.array(folded.learning_from_validation().info.training_counts)
    assert result.post_hoc_tau is not None
    for key, weight in saved.items():
        expected = (one[key].double() + two[key].double()).numpy() / 2
        if key == "head.bias":
            expected = expected - result.post_hoc_tau * np.log(counts / counts.sum())
        assert np.allclose(weight.numpy(), expected, atol=1e-5), key


def test_each_validation_photo_is_judged_once_and_no_other(
    mean: tuple[Path, CrossValidation], folded: Dataset
) -> None:
    _, result = mean
    assert {each.sha256 for each in result.predictions} == {each.sha256 for each in folded.split("val")}
    assert result.num_images == len(folded.split("val"))


def test_a_second_call_trains_nothing_and_finds_the_same(
    mean: tuple[Path, CrossValidation], folded: Dataset, config: RunConfig
) -> None:
    folder, result = mean
    before = {path: path.stat().st_mtime_ns for path in folder.glob("fold-*/metrics.jsonl")}
    assert len(before) == 2
    assert cross_validate(config, folded, folder, "crossval words", mean=True) == result
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_mean_is_exported_with_the_calibration_of_the_folds_and_judged_on_test(
    mean: tuple[Path, CrossValidation], folded: Dataset, tmp_path: Path
) -> None:
    folder, result = mean
    written = export(
        folder,
        folded,
        name="drawn",
        version="1.0.0",
        out=tmp_path,
        text=BundleText(),
        crossval=cross_validation_of(folder),
    )
    read = bundle.read(written.path)
    assert read.card.calibration == result.fitted.calibration
    assert read.card.conformal == result.conformal
    assert read.card.training_counts == (6, 5, 3)
    assert read.card.provenance.data_sha256 == folded.info.content_sha256
    assert read.evaluation.split == "test"
    assert "cross-validation" in " ".join(read.evaluation.notes)
    assert {each.sha256 for each in read.predictions or ()} == {each.sha256 for each in folded.split("test")}
    assert evaluate_models([folder], folded, "test") == read.evaluation


def test_nothing_is_said_of_the_mean_on_photos_that_it_learnt_from(
    mean: tuple[Path, CrossValidation], folded: Dataset
) -> None:
    folder, result = mean
    for models, split in (([folder], "val"), ([folder, folder], "test")):
        with pytest.raises(
            ValueError, match="has learnt from the validation photos; judge it alone and on test"
        ):
            evaluate_models(models, folded, split)
    with pytest.raises(ValueError, match="export it, and judge the bundle"):
        _of_run(folder, folded, "one")
    assert answers_of([folder], folded, "test", calibrate=True).fitted == result.fitted


def test_another_run_cannot_be_read_by_it(
    mean: tuple[Path, CrossValidation], folded: Dataset, config: RunConfig, tmp_path: Path
) -> None:
    folder, result = mean
    alone = config.with_(post_hoc={"tau": 0.0})
    begin_run(tmp_path / "run", alone, folded.folder, folded.info.content_sha256, "train")
    train(alone, folded, tmp_path / "run")
    with pytest.raises(ValueError, match="judges its own mean and no other network"):
        cross_validation_of(tmp_path / "run", folder)
    with pytest.raises(ValueError, match=r"export the mean of those, made with `crossval --mean`"):
        export(
            tmp_path / "run",
            folded,
            name="drawn",
            version="1.0.0",
            out=tmp_path,
            text=BundleText(),
            crossval=result.model_copy(update={"mean": False}),
        )
    plain = tmp_path / "cv"
    cross_validate(config, folded, plain, "crossval")
    with pytest.raises(ValueError, match="make one with --mean"):
        cross_validation_of(plain)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"pretrained": "none"}, r"begin alike: use model\.pretrained"),
        ({"batch_norm": "learn"}, r"use model\.batch_norm=fold"),
    ],
)
def test_a_mean_of_networks_that_have_none_is_refused_before_they_are_trained(
    folded: Dataset, config: RunConfig, tmp_path: Path, changes: dict[str, str], complaint: str
) -> None:
    pretrained = {**config.model.model_dump(), **changes}
    if pretrained["pretrained"] == "none":
        pretrained["batch_norm"] = "learn"
    with pytest.raises(ValueError, match=complaint):
        cross_validate(config.with_(model=pretrained), folded, tmp_path, "crossval", mean=True)
    assert not list(tmp_path.iterdir())


def test_data_of_which_some_validation_photos_have_no_fold_is_refused(
    folded: Dataset, config: RunConfig, tmp_path: Path
) -> None:
    first = folded.split("val")[0]
    some = folded.with_samples([replace(each, fold="") if each == first else each for each in folded.samples])
    with pytest.raises(ValueError, match="prepare it with --val-folds"):
        cross_validate(config, some, tmp_path, "crossval")
