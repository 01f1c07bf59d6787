"""Outsiders from folders, tables and code; species left out; a run, its bundle and a cross-validation judged."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import bundle
from models.preprocess import Preprocessing
from tests.drawn_photos import draw_moth
from training.crossval import cross_validate
from training.data.index import Sample, read_index
from training.data.left_out import leave_species_out, write_left_out
from training.data.prepared import Dataset, make_dataset
from training.data.split import split_samples
from training.export import BundleText, export
from training.judge_unknown import judge
from training.outsiders import DRAWN_KINDS, DrawnPictures, PhotoFiles, draw_outsider, read_outsiders
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.trainer import train

PHOTOS_PER_SPECIES = 12


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five drawn species, and a table of them with two folds."""
    folder = tmp_path_factory.mktemp("photos")
    rows = ["path,label,fold,is_moth"]
    for kind in range(5):
        for number in range(PHOTOS_PER_SPECIES):
            name = f"{kind}-{number}.png"
            draw_moth(kind, seed=number, size=(48, 48)).save(folder / name)
            rows.append(f"{name},species {kind},{number % 2 + 1},{int(kind < 3)}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder


def dataset_of(photos: Path, folder: Path, *, leave_out: int = 0) -> tuple[Dataset, tuple[Sample, ...]]:
    index, left_out = leave_species_out(read_index(photos / "index.csv"), leave_out, seed=0)
    samples = split_samples(index.samples, val_fraction=0.35, test_fraction=0.35, seed=0)
    dataset = make_dataset(folder, index.root, samples, index.taxa, command="prepare", num_problems=0)
    return dataset, left_out


def test_left_out_species_are_drawn_by_the_seed_and_nested(photos: Path) -> None:
    index = read_index(photos / "index.csv")
    gone = [{sample.label for sample in leave_species_out(index, count, seed=3)[1]} for count in (0, 1, 2)]
    assert [len(labels) for labels in gone] == [0, 1, 2]
    assert gone[1] < gone[2]
    left, _ = leave_species_out(index, 2, seed=3)
    assert {sample.label for sample in left.samples} == {taxon.label for taxon in left.taxa}
    assert len({frozenset(s.label for s in leave_species_out(index, 2, seed=n)[1]) for n in range(9)}) > 1
    with pytest.raises(ValueError, match="two must be left"):
        leave_species_out(index, 4, seed=0)


def test_a_run_and_its_bundle_are_judged_with_left_out_species(photos: Path, tmp_path: Path) -> None:
    dataset, left_out = dataset_of(photos, tmp_path / "data", leave_out=2)
    dataset.folder.mkdir()
    write_left_out(dataset.folder, dataset.info.root, left_out)
    config = make_recipe("debug")
    begin_run(tmp_path / "run", config, dataset.folder, dataset.info.content_sha256, "train")
    train(config, dataset, tmp_path / "run")
    outsiders = dict([read_outsiders(f"left out={dataset.folder / 'left_out.csv'}", 100)])
    by_run = judge(tmp_path / "run", dataset, outsiders)
    assert [each.name for each in by_run.outsiders] == [*DRAWN_KINDS, "left out"]
    assert by_run.outsiders[-1].num_images == 2 * PHOTOS_PER_SPECIES
    assert {quality.score for quality in by_run.outsiders[0].groups[0].scores} >= {
        "knn",
        "energy",
        "max_logit",
    }
    written = export(
        tmp_path / "run", dataset, name="drawn", version="1.0.0", out=tmp_path / "store", text=BundleText()
    )
    assert written.unknown is not None
    assert (written.path / "unknown.npz").stat().st_size > 1000
    assert written.evaluation.unknown is not None
    assert written.evaluation.unknown.known == by_run.known
    by_bundle = judge(written.path, dataset, outsiders)
    assert by_bundle.rule == by_run.rule
    for one, other in zip(by_bundle.outsiders, by_run.outsiders, strict=True):
        assert one.refused.value == pytest.approx(other.refused.value, abs=0.05)
    for split in ("val", "train", "nowhere"):
        with pytest.raises(ValueError, match="neither trained on nor calibrated with"):
            judge(written.path, dataset, outsiders, split=split)
    mirrored = export(
        tmp_path / "run",
        dataset,
        name="drawn",
        version="1.1.0",
        out=tmp_path / "store",
        text=BundleText(),
        views="mirrored",
    )
    assert mirrored.evaluation.unknown is not None
    by_mirrored_run = judge(tmp_path / "run", dataset, outsiders, views="mirrored")
    assert by_mirrored_run.known == mirrored.evaluation.unknown.known
    assert judge(mirrored.path, dataset, outsiders).rule == by_mirrored_run.rule
    assert by_mirrored_run != by_run
    with pytest.raises(ValueError, match="calibrated for views 'mirrored'"):
        judge(mirrored.path, dataset, outsiders, views="one")
    _without_rule(written, tmp_path / "old" / "1.0.0")
    with pytest.raises(ValueError, match="export it again"):
        judge(tmp_path / "old" / "1.0.0", dataset, outsiders)


def _without_rule(read: bundle.Bundle, path: Path) -> None:
    card, evaluation = read.card.model_copy(update={"unknown": None}), read.evaluation
    path.parent.mkdir()
    bundle.write(path, onnx=read.onnx, card=card, evaluation=evaluation, readme="old")


def test_a_cross_validation_is_judged_by_its_folds(photos: Path, tmp_path: Path) -> None:
    index = read_index(photos / "index.csv")
    samples = [Sample(**{**vars(sample), "split": "train"}) for sample in index.samples]
    dataset = make_dataset(tmp_path / "data", index.root, samples, index.taxa, command="p", num_problems=0)
    result = cross_validate(make_recipe("debug"), dataset, tmp_path / "cv", "crossval")
    assert result.unknown is not None
    assert result.evaluation.unknown is not None
    assert result.unknown.num_images == result.evaluation.unknown.known[0].num_images == len(samples)
    assert result.evaluation.unknown.num_calibration_images == len(samples) // 2
    again = judge(tmp_path / "cv", dataset, {})
    assert again.known == result.evaluation.unknown.known
    for one, other in zip(again.outsiders, result.evaluation.unknown.outsiders, strict=True):
        assert (one.name, one.num_images) == (other.name, other.num_images)
        assert one.refused.value == pytest.approx(other.refused.value, abs=0.05)


def test_a_drawn_picture_is_always_the_same_and_no_two_are() -> None:
    pictures = DrawnPictures(DRAWN_KINDS, range(4), 48)
    found = [pictures[place] for place in range(len(pictures))]
    assert len({picture.tobytes() for picture in found}) == 12
    np.testing.assert_array_equal(found[5], draw_outsider(DRAWN_KINDS[1], 1, 48))


def test_outsiders_come_from_folders_and_from_rows_that_are_asked_for(photos: Path) -> None:
    assert len(read_outsiders(f"all={photos}", 1000)[1]) == 60
    name, some = read_outsiders(f"other={photos / 'index.csv'}?is_moth=0&fold=1", 5)
    assert (name, len(some)) == ("other", 5)
    assert {path.name[0] for path in some} <= {"3", "4"}
    assert read_outsiders(f"other={photos / 'index.csv'}?is_moth=0&fold=1", 5)[1] == some


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("photos", "NAME=FOLDER"),
        ("x={}/nowhere", "no folder or CSV"),
        ("x={}/index.csv?is_moth=7", "no photo there"),
        ("x={}/index.csv?colour=red", "no column 'colour'"),
    ],
)
def test_outsiders_that_are_not_there_are_refused(photos: Path, words: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_outsiders(words.format(photos), 10)


def test_a_file_that_is_no_photo_is_named(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "broken.jpg").write_bytes(b"no photo")
    Image.new("RGB", (8, 8)).save(tmp_path / "outside" / "fine.png")

    files = PhotoFiles(read_outsiders(f"x={tmp_path / 'outside'}", 9)[1], Preprocessing(size_px=16))
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        [files[place] for place in range(len(files))]
