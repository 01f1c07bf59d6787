"""A checklist tried out on test photos: by the same code as the service, and what it changed is told."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from training.__main__ import app
from training.checklist_prior import against_lines, change_lines
from training.data.prepared import Dataset, write_dataset
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.trainer import train


@pytest.fixture(scope="module")
def run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_dataset(tiny_dataset, [])
    config = make_recipe("debug").with_(optimisation={"epochs": 1})
    begin_run(folder, config, tiny_dataset.folder, tiny_dataset.info.content_sha256, "train")
    train(config, tiny_dataset, folder)
    return folder


def evaluate(run: Path, dataset: Dataset, file: Path, *words: str) -> str:
    done = CliRunner().invoke(
        app, ["evaluate", str(run), "--data", str(dataset.folder), "--prior", str(file), *words]
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def a_list(folder: Path, text: str) -> Path:
    file = folder / "list.csv"
    file.write_text(text)
    return file


def test_under_a_list_of_one_species_every_photo_gets_its_name(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    only = a_list(tmp_path, f"species,weeks\n{tiny_dataset.labels[2]},20-30\nspecies-9,\n")
    told = evaluate(run, tiny_dataset, only, "--week", "25", "--unlisted-weight", "0")
    assert "1 of 2 names are species of the model" in told
    assert "row 3: species-9 is not; nearest: " in told
    assert "of 3 photos are named otherwise" in told
    judged = json.loads(evaluate(run, tiny_dataset, only, "--week", "25", "--unlisted-weight", "0", "--json"))
    assert judged["accuracy"]["value"] == pytest.approx(1 / 3)
    assert not (run / "evaluation-test.json").exists()


def test_a_list_of_everything_changes_what_the_training_prior_did(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    everything = a_list(tmp_path, "species\n" + "".join(f"{label}\n" for label in tiny_dataset.labels))
    assert "3 of 3 names are species of the model" in evaluate(run, tiny_dataset, everything)


@pytest.mark.parametrize(
    ("text", "words", "why"),
    [
        ("species,weeks\nspecies-1,20\n", ("--week", "40"), "expects no species"),
        ("species\nNoctua\n", (), "none of its names"),
        ("species,weeks\nspecies-1,99\n", (), "row 2: weeks '99'"),
        ("species\nspecies-1\n", ("--target-prior", "uniform"), "one of them"),
        ("species\nspecies-1\n", ("--split", "no-split"), "no photo is in split"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_the_reason(
    run: Path, tiny_dataset: Dataset, tmp_path: Path, text: str, words: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        evaluate(run, tiny_dataset, a_list(tmp_path, text), *words)


def test_a_week_without_a_list_is_refused(run: Path, tiny_dataset: Dataset) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(run), "--data", str(tiny_dataset.folder), "--week", "20"])
    assert "--week goes with --prior" in str(done.exception)


def test_changes_are_counted_by_group(tiny_dataset: Dataset) -> None:
    before, after = np.eye(3)[[0, 0, 2]], np.eye(3)[[0, 1, 1]]
    lines = change_lines(before, after, np.array([0, 1, 2]), tiny_dataset)
    assert lines[0].strip() == "2 of 3 photos are named otherwise: 1 now right, 1 now wrong"
    assert lines[1].split() == ["all", "66.7%", "right", "without", "the", "list,", "66.7%", "with", "it"]
    assert len(lines) == 2 + len(set(tiny_dataset.groups))


def test_photos_that_show_what_a_list_rules_out_are_counted() -> None:
    before = np.array([[0.9, 0.1, 0.0], [0.3, 0.7, 0.0], [0.6, 0.1, 0.3]])
    target = np.array([0.0, 1.0, 0.0])
    after = np.tile(target, (3, 1))
    assert against_lines(before, after, target) == (
        "      2 photos show what the list rules out: the service names no species on them",
    )
    assert against_lines(before, before, np.full(3, 1 / 3)) == ()
