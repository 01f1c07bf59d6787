"""Predictions of a bundle: a line a photo, and every figure of the evaluation must be theirs."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models import bundle
from models.bundle import BundleError
from models.predictions import Prediction, dump_predictions, parse_predictions
from tests.tiny_bundle import write_tiny_bundle

PHOTOS = (
    Prediction("0" * 64, "a label, with a comma", "b", 1 / 3),
    Prediction("1" * 64, 'a "quoted" one', "b", 0.1 + 0.2),
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("store"))


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "1.0.0"))


def rewrite(folder: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the predictions and make SHA256SUMS right again."""
    path = folder / bundle.PREDICTIONS
    path.write_bytes(change(path.read_bytes()))
    names = sorted(file.name for file in folder.iterdir() if file.name != bundle.SUMS)
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / bundle.SUMS).write_text("".join(lines))


def test_what_was_written_is_what_is_read_to_the_last_digit() -> None:
    assert parse_predictions(dump_predictions(PHOTOS)) == PHOTOS
    assert parse_predictions(dump_predictions(())) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 is not sha256,label,predicted,confidence"),
        ("sha256,label,predicted\n", "line 1 is not"),
        (f"sha256,label,predicted,confidence\n{'0' * 64},a,b\n", "line 2 has 3 columns"),
        ("sha256,label,predicted,confidence\n0,a,b,0.5\n", "line 2: sha256 is not 64"),
        (f"sha256,label,predicted,confidence\n{'0' * 64},a,b,nan\n", "line 2: confidence"),
        (f"sha256,label,predicted,confidence\n{'0' * 64},a,b,1.5\n", "line 2: confidence"),
        (f"sha256,label,predicted,confidence\n{'0' * 64},a,b,much\n", "line 2: confidence"),
        (
            "sha256,label,predicted,confidence\n" + f"{'0' * 64},a,b,0.5\n" * 2,
            "line 3: the photo 000000000000…",
        ),
        ('sha256,label,predicted,confidence\n"', "is not a CSV"),
        ("\udcff", "is not a CSV"),
    ],
)
def test_a_line_that_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_predictions(text.encode("utf-8", "surrogateescape"))


def test_a_bundle_gives_its_predictions(good: Path) -> None:
    found = bundle.read(good)
    assert found.predictions is not None
    assert len(found.predictions) == found.evaluation.num_test_images
    assert found.evaluation_sha256 == hashlib.sha256((good / bundle.EVALUATION).read_bytes()).hexdigest()


def test_a_bundle_from_before_predictions_were_kept_is_read(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path, with_predictions=False, with_golden=False)
    assert bundle.read(folder).predictions is None
    assert bundle.PREDICTIONS not in (folder / bundle.SUMS).read_text()
    assert bundle.file_names(folder) == sorted([*bundle.CONTENT, bundle.SUMS])


def test_predictions_that_were_added_or_taken_away_are_noticed(good: Path, folder: Path) -> None:
    (folder / bundle.PREDICTIONS).unlink()
    with pytest.raises(BundleError, match="must list exactly README"):
        bundle.read(folder)
    (folder / bundle.PREDICTIONS).write_bytes((good / bundle.PREDICTIONS).read_bytes() + b"\n")
    with pytest.raises(BundleError, match=r"^predictions\.csv: its SHA-256"):
        bundle.read(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.replace(b"candela_striata", b"candela_strigata"), "'candela_strigata' is not one"),
        (lambda data: b"".join(data.splitlines(keepends=True)[:-1]), "has 7 photos of unplaced_brown"),
        (lambda data: data.replace(b",aurelia_viridis,aurelia_viridis,", b",aurelia_viridis,candela_striata,"),
         "counts other confusions"),
        (lambda data: data.replace(b",aurelia_viridis,aurelia_viridis,0.", b",aurelia_viridis,aurelia_viridis,0.0"),
         "has another ECE"),
    ],
)  # fmt: skip
def test_predictions_that_do_not_give_the_evaluation_are_refused(
    folder: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    rewrite(folder, change)
    with pytest.raises(BundleError, match=rf"^predictions\.csv: .*{message}"):
        bundle.read(folder)
