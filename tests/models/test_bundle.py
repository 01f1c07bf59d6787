"""A bundle is read whole and verified, or refused with the name of the file and the fault."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import bundle
from models.bundle import BundleError
from models.card import ModelCard
from models.evaluation import Evaluation
from tests.tiny_bundle import TAXA, write_tiny_bundle


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("store"))


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy of a good bundle, for a test to damage."""
    return Path(shutil.copytree(good, tmp_path / "1.0.0"))


def _sign(folder: Path) -> None:
    """Make SHA256SUMS right again, so that the next check is the one that speaks."""
    names = [name for name in bundle.file_names(folder) if name != bundle.SUMS]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / bundle.SUMS).write_text("".join(lines))


def _change(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    _sign(folder)


def test_what_was_written_is_what_is_read(good: Path) -> None:
    found = bundle.read(good)
    assert (found.card.name, found.card.version, found.card.num_classes) == ("tiny-moths", "1.0.0", len(TAXA))
    assert found.onnx == (good / bundle.MODEL).read_bytes()
    assert [species.label for species in found.evaluation.species] == [taxon.label for taxon in TAXA]


def test_the_hash_names_the_content(good: Path, folder: Path) -> None:
    assert bundle.read(folder).sha256 == bundle.read(good).sha256
    (folder / bundle.README).write_text("Another text.")
    _sign(folder)
    assert bundle.read(folder).sha256 != bundle.read(good).sha256


def test_a_version_is_written_once(good: Path) -> None:
    with pytest.raises(FileExistsError, match="immutable"):
        write_tiny_bundle(good.parents[1])


def test_a_bundle_that_would_be_refused_is_not_written(good: Path, tmp_path: Path) -> None:
    found = bundle.read(good)
    with pytest.raises(BundleError, match=r"^model\.onnx"):
        bundle.write(
            tmp_path / "x", onnx=b"no graph", card=found.card, evaluation=found.evaluation, readme="x"
        )
    assert not (tmp_path / "x").exists()


def test_papers_from_before_trust_was_measured_still_load(good: Path) -> None:
    found = bundle.read(good)
    card, evaluation = found.card.model_dump(mode="json"), found.evaluation.model_dump(mode="json")
    del card["conformal"], card["calibration"]["scaling"]
    del evaluation["calibration"], evaluation["prediction_sets"], evaluation["roll_up"]
    assert ModelCard.model_validate(card) == found.card
    old = Evaluation.model_validate(evaluation)
    assert (old.calibration, old.prediction_sets, old.roll_up) == (None, (), ())


@pytest.mark.parametrize("name", [*bundle.CONTENT, bundle.SUMS])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        bundle.read(folder)


@pytest.mark.parametrize("name", bundle.CONTENT)
def test_a_changed_file_is_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BundleError, match=f"^{name}: its SHA-256"):
        bundle.read(folder)


def test_a_file_that_does_not_belong_is_named(folder: Path) -> None:
    (folder / "weights.pth").write_bytes(b"\x80\x04")
    with pytest.raises(BundleError, match=r"weights\.pth does not belong"):
        bundle.read(folder)


def test_a_link_is_no_plain_file(folder: Path, tmp_path: Path) -> None:
    (folder / bundle.README).rename(tmp_path / "elsewhere")
    (folder / bundle.README).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"README\.md: is not a plain file"):
        bundle.read(folder)


@pytest.mark.parametrize("line", ["nonsense", "0" * 64 + "  ../model.onnx", "0" * 64 + " model.onnx"])
def test_a_line_of_the_sums_that_cannot_be_read_is_numbered(folder: Path, line: str) -> None:
    sums = folder / bundle.SUMS
    sums.write_text(f"{line}\n{sums.read_text()}")
    with pytest.raises(BundleError, match="SHA256SUMS: line 1"):
        bundle.read(folder)


def test_sums_that_leave_a_file_out_are_refused(folder: Path) -> None:
    sums = folder / bundle.SUMS
    sums.write_text("".join(sums.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(BundleError, match="SHA256SUMS: must list exactly"):
        bundle.read(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.pop("title"), "card.json: title"),
        (lambda card: card.update(surprise=1), "card.json: surprise"),
        (lambda card: card.update(name="../../etc"), "card.json: name"),
        (lambda card: card.update(version="1.0"), "card.json: version"),
        (lambda card: card["training_counts"].pop(), r"card.json: .*7 taxa but 6 training_counts"),
        (lambda card: card["training_counts"].__setitem__(0, 0), "card.json: training_counts"),
        (lambda card: card["taxa"][1].update(label=card["taxa"][0]["label"]), "stands twice"),
        (lambda card: card["calibration"].update(temperature=0), r"card.json: calibration\.temperature"),
        (lambda card: card.update(reliability=1.0), "card.json: reliability"),
        (lambda card: card.update(schema_version=2), "card.json: schema_version"),
        (lambda card: card["preprocessing"].update(size_px=64), "model.onnx: 'image' is UINT8"),
        (lambda card: card.update(embedding_dim=7), "model.onnx: 'embedding'"),
        (lambda card: card["training_counts"].__setitem__(0, 41), "evaluation.json: aurelia_ferruginea"),
        (lambda card: card["taxa"].reverse(), "evaluation.json: its species are not the taxa"),
    ],
)
def test_a_card_that_is_wrong_is_refused_by_field(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    _change(folder, bundle.CARD, change)
    with pytest.raises(BundleError, match=message):
        bundle.read(folder)


def test_an_evaluation_that_is_wrong_is_refused_by_field(folder: Path) -> None:
    _change(folder, bundle.EVALUATION, lambda content: content["accuracy"].pop("interval"))
    with pytest.raises(BundleError, match=r"evaluation\.json: accuracy\.interval"):
        bundle.read(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_card_that_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / bundle.CARD).write_bytes(content)
    _sign(folder)
    with pytest.raises(BundleError, match=r"^card\.json: the whole file"):
        bundle.read(folder)


def test_there_is_no_bundle_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle folder"):
        bundle.read(tmp_path / "none")
