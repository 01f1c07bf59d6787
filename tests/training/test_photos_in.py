"""From rows to batches: what is refused, what is kept, and that it does not depend on workers."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from models.preprocess import Preprocessing, preprocess
from tests.drawn_photos import draw_moth, odd_photos, photo
from training.config import RunConfig
from training.data.cache import open_cache
from training.data.dataset import TrainingViews, training_loader
from training.data.index import Index, Sample, read_index
from training.data.prepared import make_dataset, read_dataset, write_dataset
from training.mixing import mix
from training.recipes import make_recipe


def draw_folder(folder: Path, species: Sequence[str] = ("a", "b"), photos: int = 3) -> Path:
    for kind, name in enumerate(species):
        (folder / name).mkdir(parents=True)
        for number in range(photos):
            draw_moth(kind, seed=number, size=(64, 48)).save(folder / name / f"{number}.png")
    return folder


def write_csv(folder: Path, *rows: dict[str, str]) -> Path:
    fields = sorted({field for row in rows for field in row})
    with (folder / "index.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fields)
        writer.writeheader()
        writer.writerows(rows)
    return folder / "index.csv"


def problem_of(index: Index, row: int) -> str:
    return next(problem.fault for problem in index.problems if problem.row == row)


def test_a_species_folder_without_photos_is_listed_and_not_passed_over(tmp_path: Path) -> None:
    folder = draw_folder(tmp_path, ("a", "b"))
    (folder / "c" / "nested").mkdir(parents=True)
    index = read_index(folder)
    assert [taxon.label for taxon in index.taxa] == ["a", "b"]
    assert [(problem.row, problem.path, problem.fault) for problem in index.problems] == [
        (0, "c", "a folder without photos")
    ]


def test_every_bad_row_is_listed_with_its_number_and_the_good_ones_are_kept(tmp_path: Path) -> None:
    draw_folder(tmp_path, ("a", "b", "c"))
    (tmp_path / "a" / "cut.jpg").write_bytes(photo()[:300])
    (tmp_path / "b" / "copy.png").write_bytes((tmp_path / "a" / "2.png").read_bytes())
    good = [{"path": f"{name}/{i}.png", "label": name} for name in "ab" for i in (0, 1)]
    bad = [
        {"path": "a/nowhere.png", "label": "a"},
        {"path": "a/cut.jpg", "label": "a"},
        {"path": "a/2.png", "label": ""},
        {"path": "", "label": "a"},
        {"path": "a/0.png", "label": "a"},
        {"path": "notes.txt", "label": "a"},
        {"path": "a/2.png", "label": "a"},
        {"path": "b/copy.png", "label": "b"},
        {"path": "c/0.png", "label": "c"},
        {"path": "c/1.png", "label": "c", "split": "holdout"},
    ]
    index = read_index(write_csv(tmp_path, *good, *bad))
    assert [sample.path for sample in index.samples] == [row["path"] for row in good]
    assert [taxon.label for taxon in index.taxa] == ["a", "b"]
    found = [problem_of(index, row) for row in range(6, 16)]
    expected = (
        "cannot be read: No such file",
        "",
        "no label",
        "no path",
        "the same path as row 2",
        "not a photo by its name",
        "the same photo under several labels: a, b",
        "the same photo under several labels: a, b",
        "the only photo of c",
        "unknown split 'holdout'",
    )
    assert all(fault.startswith(words) for fault, words in zip(found, expected, strict=True)), found
    assert len(index.problems) == len(bad)


def test_taxon_columns_make_taxa_under_any_of_their_names(tmp_path: Path) -> None:
    draw_folder(tmp_path)
    rows = [
        {"image": f"{name}/{i}.png", "species": name, "genus": "Aglia", "family": "Saturniidae"}
        | {"scientific_name": f"Aglia {name}", "gbif_key": "42", "common_name": "Tau", "specimen": f"s{i}"}
        for name in "ab"
        for i in range(3)
    ]
    index = read_index(write_csv(tmp_path, *rows))
    taxon = index.taxa[0]
    assert (taxon.genus, taxon.family, taxon.taxon_id, taxon.vernacular_name) == (
        "Aglia",
        "Saturniidae",
        "gbif:42",
        "Tau",
    )
    assert {sample.session for sample in index.samples} == {"s0", "s1", "s2"}


def test_a_source_that_gives_nothing_to_learn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder or CSV file here"):
        read_index(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="fewer than two species"):
        read_index(draw_folder(tmp_path / "one", ("a",)))
    with pytest.raises(ValueError, match="no column for the label; expected one of label, class_name"):
        read_index(write_csv(tmp_path, {"path": "a/0.png", "name": "a"}))


def test_a_prepared_folder_reads_as_it_was_written_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    index = read_index(draw_folder(tmp_path / "photos"))
    samples = [Sample(**{**vars(sample), "split": "train"}) for sample in index.samples]
    dataset = make_dataset(
        tmp_path / "data", index.root, samples, index.taxa, command="prepare", num_problems=0
    )
    write_dataset(dataset, [])
    assert read_dataset(tmp_path / "data") == dataset
    (tmp_path / "data" / "dataset.json").write_text("{")
    with pytest.raises(ValueError, match=r"(?s)damaged .* run `prepare` again"):
        read_dataset(tmp_path / "data")
    with pytest.raises(ValueError, match="run `prepare` first"):
        read_dataset(tmp_path)


def test_evaluation_sees_every_kind_of_photo_byte_for_byte_as_serving_does(tmp_path: Path) -> None:
    wanted = Preprocessing(size_px=48)
    samples, expected = [], []
    for number, (name, data) in enumerate(odd_photos()):
        (tmp_path / f"{number}").write_bytes(data)
        samples.append(Sample(str(number), name, number, sha256=hashlib.sha256(data).hexdigest()))
        expected.append(preprocess(data, wanted)[0])
    cache = open_cache(tmp_path / "data", tmp_path, samples, wanted)
    assert len(cache) > 5
    assert all(np.array_equal(cache[i], pixels) for i, pixels in enumerate(expected))


def test_a_cache_whose_pixels_are_gone_is_made_again(tmp_path: Path) -> None:
    index = read_index(draw_folder(tmp_path / "photos"))
    first = np.array(open_cache(tmp_path / "data", index.root, index.samples, 32)[4])
    (pixels,) = (tmp_path / "data" / "cache").glob("*.rgb")
    pixels.unlink()
    assert np.array_equal(open_cache(tmp_path / "data", index.root, index.samples, 32)[4], first)


def test_a_cache_that_was_being_made_again_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = read_index(draw_folder(tmp_path / "photos"))
    open_cache(tmp_path / "data", index.root, index.samples, 32)
    (pixels,) = (tmp_path / "data" / "cache").glob("*.rgb")
    pixels.unlink()
    with monkeypatch.context() as patched:
        patched.setattr("training.data.cache.json.dumps", _killed)
        with pytest.raises(KeyboardInterrupt):
            open_cache(tmp_path / "data", index.root, index.samples, 32)
    assert pixels.exists()
    assert not pixels.with_suffix(".json").exists()


def _killed(*_: object) -> str:
    raise KeyboardInterrupt


def test_a_photo_that_changed_since_prepare_is_noticed(tmp_path: Path) -> None:
    draw_moth().save(tmp_path / "a.png")
    sample = Sample("a.png", "a", 1, sha256="0" * 64)
    with pytest.raises(ValueError, match="has changed since `prepare`"):
        open_cache(tmp_path / "data", tmp_path, [sample], 32)


def views(tmp_path: Path, *, workers: int, seed: int = 0) -> tuple[TrainingViews, RunConfig]:
    index = read_index(draw_folder(tmp_path / "photos")) if not (tmp_path / "photos").exists() else None
    index = index or read_index(tmp_path / "photos")
    config = make_recipe("debug").with_(seed=seed, workers=workers, optimisation={"batch_size": 4})
    cache = open_cache(tmp_path / "data", index.root, index.samples, config.cache_side_px)
    return TrainingViews(cache, list(range(6)), [0, 0, 0, 1, 1, 1], config), config


def batches(tmp_path: Path, *, workers: int, epoch: int = 0, seed: int = 0) -> torch.Tensor:
    made, config = views(tmp_path, workers=workers, seed=seed)
    made.epoch = epoch
    return torch.cat([images for images, _ in training_loader(made, [[5, 0, 3, 1], [4, 2]], config)])


def test_views_are_the_same_at_any_number_of_workers_and_differ_by_epoch_and_seed(tmp_path: Path) -> None:
    plain = batches(tmp_path, workers=0)
    assert plain.shape == (6, 3, 32, 32)
    assert plain.equal(batches(tmp_path, workers=1))
    assert plain.equal(batches(tmp_path, workers=2))
    assert not plain.equal(batches(tmp_path, workers=0, epoch=1))
    assert not plain.equal(batches(tmp_path, workers=0, seed=1))


@pytest.mark.parametrize("seed", range(5))
def test_a_mixed_batch_has_exactly_the_share_it_states(seed: int) -> None:
    labels = torch.arange(6)
    pixels = labels.float().view(6, 1, 1, 1).expand(6, 3, 20, 20).contiguous()
    for mixup_alpha, cutmix_alpha in ((0.4, 0.0), (0.0, 1.0)):
        rng = np.random.default_rng(seed)
        mixed = mix(pixels, labels, rng, mixup_alpha=mixup_alpha, cutmix_alpha=cutmix_alpha)
        expected = mixed.share * mixed.labels_B + (1 - mixed.share) * mixed.other_labels_B
        torch.testing.assert_close(
            mixed.pixels_BCHW.mean(dim=(1, 2, 3)), expected.float(), rtol=1e-4, atol=1e-4
        )
    plain = mix(pixels, labels, np.random.default_rng(seed), mixup_alpha=0, cutmix_alpha=0)
    assert plain.share == 1.0
    assert plain.pixels_BCHW.equal(pixels)
