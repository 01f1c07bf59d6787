"""Codes of the training photos: of what was trained on, thinned from the head, shown only where that is allowed."""

from pathlib import Path

import numpy as np
import pytest

from models import bundle
from models.preprocess import Preprocessing
from training.data.index import Sample
from training.data.prepared import Dataset, write_dataset
from training.export import BundleText, export
from training.inference import evaluation_cache, places_of
from training.neighbours import may_be_shown, neighbours_of, thinned
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.trainer import train


@pytest.fixture(scope="module")
def written(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    """A bundle of a short run on drawn photos, as ``training export`` writes it."""
    folder = tmp_path_factory.mktemp("run")
    write_dataset(tiny_dataset, [])
    config = make_recipe("debug").with_(optimisation={"epochs": 1})
    begin_run(folder, config, tiny_dataset.folder, tiny_dataset.info.content_sha256, "train")
    train(config, tiny_dataset, folder)
    store = tmp_path_factory.mktemp("store")
    return export(folder, tiny_dataset, name="drawn", version="1.0.0", out=store, text=BundleText())


def test_an_exported_bundle_knows_every_photo_it_was_trained_on_by_itself(
    written: bundle.Bundle, tiny_dataset: Dataset
) -> None:
    read = bundle.read(written.path)
    assert (written.path / bundle.NEIGHBOURS).exists()
    assert bundle.NEIGHBOURS in (written.path / bundle.SUMS).read_text()
    assert read.neighbours is not None
    samples = tiny_dataset.split("train")
    assert read.neighbours.references == tuple(sample.path for sample in samples)
    assert [tiny_dataset.labels[label] for label in read.neighbours.labels_N] == [s.label for s in samples]
    assert read.neighbours.nearest(np.ones(read.card.embedding_dim, np.float32), 1)[0].thumbnail is None


def test_with_a_free_licence_small_pictures_come_along(written: bundle.Bundle, tiny_dataset: Dataset) -> None:
    cache = evaluation_cache(tiny_dataset, Preprocessing(size_px=written.card.preprocessing.size_px))
    found = neighbours_of(written.onnx, tiny_dataset, cache, licence="CC BY 4.0")
    query = np.asarray(
        found.components_KD.T @ (found.codes_NK[0].astype(np.float32) * found.scales_N[0]), np.float32
    )
    nearest = found.nearest(query, 1)[0]
    assert nearest.thumbnail is not None
    assert nearest.thumbnail.startswith(b"\xff\xd8")
    assert nearest.reference == tiny_dataset.split("train")[0].path
    assert len(places_of(tiny_dataset, tiny_dataset.split("train"))) == len(found)


def test_a_damaged_file_of_codes_refuses_the_bundle(written: bundle.Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "1.0.0"
    folder.mkdir()
    for path in written.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / bundle.NEIGHBOURS).write_bytes(b"PK")
    with pytest.raises(bundle.BundleError, match=r"neighbours\.npz: its SHA-256"):
        bundle.read(folder)


@pytest.mark.parametrize(
    ("licence", "shown"),
    [
        ("CC0", True),
        ("CC-BY-SA 4.0", True),
        ("public domain", True),
        ("CC BY-NC-SA 4.0", False),
        ("CC BY-ND 4.0", False),
        ("no licence text at the source", False),
        ("not stated", False),
        ("CC BY where stated, else unknown", False),
        ("all rights reserved", False),
        ("", False),
    ],
)
def test_only_a_licence_that_plainly_allows_it_lets_photos_be_shown(licence: str, shown: bool) -> None:
    assert may_be_shown(licence) is shown


def test_too_many_photos_are_thinned_from_the_head() -> None:
    counts = {"a": 100, "b": 10, "c": 1}
    samples = [Sample(f"{label}{n}", label, n) for label, count in counts.items() for n in range(count)]
    kept = thinned(samples, 31)
    assert {label: sum(s.label == label for s in kept) for label in counts} == {"a": 20, "b": 10, "c": 1}
    assert thinned(samples, 111) == tuple(samples)
