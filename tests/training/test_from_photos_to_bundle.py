"""A folder of photos becomes a bundle that answers, by the command line that the README shows."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from models import bundle
from models.evaluation import Evaluation

ROOT = Path(__file__).parents[2]


def training(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, "-m", "training", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=check,
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for species, colour in (("amber", (220, 150, 40)), ("blue", (40, 90, 220)), ("green", (60, 190, 80))):
        (folder / species).mkdir()
        for number in range(8):
            pixels = np.clip(np.array(colour) + rng.normal(0, 30, (40, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / species / f"{number}.png")
    (folder / "amber" / "broken.jpg").write_bytes(b"\xff\xd8\xffnot a photo")
    out = tmp_path_factory.mktemp("data") / "drawn"
    done = training(
        "prepare", str(folder), "--out", str(out), "--val-fraction", "0.25", "--test-fraction", "0.25"
    )
    assert "broken.jpg" in done.stderr
    return out


def test_a_broken_photo_is_listed_and_a_profile_is_drawn(prepared: Path) -> None:
    assert "broken.jpg" in (prepared / "problems.csv").read_text()
    assert json.loads((prepared / "profile.json").read_text())["num_classes"] == 3
    assert (prepared / "profile.png").stat().st_size > 1000


def test_photos_become_a_bundle_and_the_bundle_judges_as_the_run_does(prepared: Path, tmp_path: Path) -> None:
    run, store = tmp_path / "run", tmp_path / "store"
    training("train", "--recipe", "debug", "--data", str(prepared), "--out", str(run))
    training("export", str(run), "--name", "drawn", "--version", "1.0.0", "--out", str(store))
    read = bundle.read(store / "drawn" / "1.0.0")
    assert [taxon.label for taxon in read.card.taxa] == ["amber", "blue", "green"]
    done = training("evaluate", str(store / "drawn" / "1.0.0"), "--data", str(prepared), "--json")
    assert json.loads(done.stdout)["accuracy"]["value"] == read.evaluation.accuracy.value
    assert read.predictions is not None
    assert read.golden is not None
    photos = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(json.loads((prepared / "dataset.json").read_text())["root"]).glob("*/*.png")
    }
    assert {each.sha256 for each in read.predictions} < photos
    right = [each.label == each.predicted for each in read.predictions]
    assert sum(right) / len(right) == read.evaluation.accuracy.value
    assert "recall" in training("evaluate", str(run), "--data", str(prepared)).stdout
    judged = json.loads((run / "evaluation-test.json").read_text())
    assert judged["accuracy"]["value"] == read.evaluation.accuracy.value
    assert judged["calibration"]["num_calibration_images"] == read.card.calibration.num_images == 6
    assert [table.score for table in read.card.conformal] == ["group", "prevalence", "plain"]
    by_run, by_bundle = Evaluation.model_validate(judged), read.evaluation
    for one, other in zip(by_run.prediction_sets, by_bundle.prediction_sets, strict=True):
        assert (one.score, one.alpha, one.everything) == (other.score, other.alpha, other.everything)
    assert {report.alpha for report in by_bundle.prediction_sets if report.everything} == {
        0.01,
        0.02,
        0.05,
        0.1,
    }
    assert [report.reliability for report in by_bundle.roll_up] == [0.8, 0.9, 0.95, 0.99]
    assert "asked to be 90% sure" in read.readme
    assert "2 photos of one species together, named right" in read.readme
    assert (
        "asked to be" not in training("evaluate", str(run), "--data", str(prepared), "--split", "val").stdout
    )


TINY = ("size_px=32", "workers=0", "model.backbone=test_efficientnet", "optimisation.batch_size=8")


@pytest.mark.parametrize("recipe", [("debug",), ("paco", *TINY)], ids=["debug", "paco"])
def test_a_run_killed_after_its_first_epoch_ends_with_the_same_weights(
    prepared: Path, tmp_path: Path, recipe: tuple[str, ...]
) -> None:
    words = ("train", "--recipe", *recipe, "--data", str(prepared), "optimisation.epochs=3")
    training(*words, "--out", str(tmp_path / "whole"))
    process = subprocess.Popen(
        [sys.executable, "-m", "training", *words, "--out", str(tmp_path / "killed")],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not (tmp_path / "killed" / "checkpoint.pt").exists():
        pass
    process.kill()
    process.wait()
    training(*words, "--out", str(tmp_path / "killed"))
    whole, resumed = (load_file(tmp_path / name / "final.safetensors") for name in ("whole", "killed"))
    assert all(bool((whole[key] == resumed[key]).all()) for key in whole)


def test_a_wrong_key_is_refused_in_one_sentence(prepared: Path, tmp_path: Path) -> None:
    done = training(
        "train",
        "--recipe",
        "debug",
        "--data",
        str(prepared),
        "--out",
        str(tmp_path / "x"),
        "epoch=3",
        check=False,
    )
    assert done.returncode == 1
    assert "unknown key 'epoch'" in done.stderr
    assert "Traceback" not in done.stderr
