"""Another prior without training: what a user may ask for, and when it cannot be had."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models import bundle
from models.card import ModelCard
from tests.tiny_bundle import write_tiny_bundle
from training.__main__ import app
from training.config import RunConfig
from training.data.prepared import Dataset, write_dataset
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.target_prior import prior_of_card, read_target
from training.trainer import train

LABELS = ("a", "b", "c")


def shares(folder: Path, content: object) -> str:
    path = folder / "prior.json"
    path.write_text(json.dumps(content))
    return str(path)


def test_a_target_is_uniform_or_what_a_file_says(tmp_path: Path) -> None:
    np.testing.assert_allclose(np.exp(read_target("uniform", LABELS)), [1 / 3] * 3)
    file = shares(tmp_path, {"c": 1, "a": 8, "b": 1.0})
    np.testing.assert_allclose(np.exp(read_target(file, LABELS)), [0.8, 0.1, 0.1])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([1, 2, 3], "expected an object"),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, "unknown label 'd'"),
        ({"a": 1, "b": 1}, "'c' needs a share above zero"),
        ({"a": 1, "b": 0, "c": 1}, "'b' needs a share above zero"),
        ({"a": "1", "b": 1, "c": 1}, "'a' needs a share above zero"),
    ],
)
def test_a_file_that_is_no_prior_is_refused_with_the_label_at_fault(
    tmp_path: Path, content: object, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        read_target(shares(tmp_path, content), LABELS)
    with pytest.raises(ValueError, match="neither 'uniform' nor a JSON file"):
        read_target(str(tmp_path / "nowhere.json"), LABELS)


def test_a_card_says_what_is_to_be_taken_out(tmp_path: Path) -> None:
    written = bundle.read(write_tiny_bundle(tmp_path)).card

    def card(prior: str) -> ModelCard:
        return written.model_copy(update={"logit_prior": prior})

    trained = prior_of_card(card("training"))
    assert trained is not None
    np.testing.assert_allclose(np.exp(trained), written.training_counts)
    np.testing.assert_array_equal(prior_of_card(card("none")), np.zeros(written.num_classes))
    assert prior_of_card(card("partial")) is None


def trained_run(dataset: Dataset, folder: Path, **changes: object) -> RunConfig:
    config = make_recipe("debug").with_(optimisation={"epochs": 1}, **changes)
    begin_run(folder, config, dataset.folder, dataset.info.content_sha256, "train")
    train(config, dataset, folder)
    return config


def test_a_run_is_judged_for_another_prior_and_its_own_evaluation_is_not_overwritten(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    write_dataset(tiny_dataset, [])
    trained_run(tiny_dataset, tmp_path / "run")
    words = ["evaluate", str(tmp_path / "run"), "--data", str(tiny_dataset.folder), "--json"]
    rare = tiny_dataset.labels[2]
    target = shares(tmp_path, {label: 1e9 if label == rare else 1 for label in tiny_dataset.labels})
    done = CliRunner().invoke(app, [*words, "--target-prior", target])
    assert done.exit_code == 0, done.output
    judged = json.loads(done.stdout)
    assert not (tmp_path / "run" / "evaluation-test.json").exists()
    assert judged["num_test_images"] == 3
    assert judged["accuracy"]["value"] == pytest.approx(
        1 / 3
    )  # all three photos are named as the species expected


def test_logits_whose_prior_nobody_knows_are_not_judged_for_another(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    write_dataset(tiny_dataset, [])
    trained_run(tiny_dataset, tmp_path / "run", loss={"name": "equalization"})
    words = ["evaluate", str(tmp_path / "run"), "--data", str(tiny_dataset.folder)]
    done = CliRunner().invoke(app, [*words, "--target-prior", "uniform"])
    assert isinstance(done.exception, ValueError)
    assert "cannot be derived" in str(done.exception)
