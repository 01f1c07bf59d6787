"""Several runs are judged by the mean of their logits, and what is no ensemble is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from training.__main__ import app
from training.choices import LogitAdjusted
from training.data.prepared import Dataset, write_dataset
from training.ensemble import ensemble_logits, run_logits
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.trainer import train


def _to_six_places(number: str) -> float:
    """A mean of two is rounded otherwise than the one of them."""
    return round(float(number), 6)


def evaluate(*words: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, words), "--json"])


@pytest.fixture(scope="module")
def runs(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two finished runs of other seeds, sizes and priors."""
    write_dataset(tiny_dataset, ())
    folder = tmp_path_factory.mktemp("runs")
    configs = (
        make_recipe("debug").with_(optimisation={"epochs": 1}),
        make_recipe("debug").with_(seed=1, size_px=40, loss=LogitAdjusted(), optimisation={"epochs": 1}),
    )
    for number, config in enumerate(configs):
        run = folder / str(number)
        begin_run(run, config, tiny_dataset.folder, tiny_dataset.info.content_sha256, "train")
        train(config, tiny_dataset, run)
    return [folder / "0", folder / "1"]


def test_logits_and_the_prior_in_them_are_the_mean_over_the_runs(
    tiny_dataset: Dataset, runs: list[Path]
) -> None:
    places = [0, 5, 9, 15]
    (first, first_prior), (second, second_prior) = (run_logits(run, tiny_dataset, places) for run in runs)
    found, prior = ensemble_logits(runs, tiny_dataset, places)
    np.testing.assert_allclose(found, (first + second) / 2)
    assert not np.allclose(first, second)
    assert first_prior is not None
    assert second_prior is not None
    assert prior is not None
    np.testing.assert_allclose(prior, (first_prior + second_prior) / 2)


def test_a_run_twice_is_judged_as_that_run_and_writes_no_file(
    tiny_dataset: Dataset, runs: list[Path]
) -> None:
    twice = evaluate(runs[0], runs[0], "--data", tiny_dataset.folder)
    assert twice.exit_code == 0, twice.output
    assert not (runs[0] / "evaluation-test.json").exists()
    once = evaluate(runs[0], "--data", tiny_dataset.folder)
    ours, theirs = (json.loads(each.stdout, parse_float=_to_six_places) for each in (once, twice))
    assert ours.pop("unknown")
    assert theirs.pop("unknown") is None  # embeddings of several networks have no space in common
    assert ours == theirs
    assert (runs[0] / "evaluation-test.json").exists()


def test_two_runs_are_judged_together(tiny_dataset: Dataset, runs: list[Path]) -> None:
    both = evaluate(*runs, "--data", tiny_dataset.folder, "--target-prior", "uniform")
    assert both.exit_code == 0, both.output
    assert json.loads(both.stdout)["num_test_images"] == 3
    assert not (runs[1] / "evaluation-test.json").exists()


def test_a_bundle_or_a_run_of_another_species_list_is_refused(
    tiny_dataset: Dataset, runs: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "card.json").write_text("{}")
    refused = evaluate(runs[0], tmp_path / "bundle", "--data", tiny_dataset.folder)
    assert isinstance(refused.exception, ValueError)
    assert "is a bundle" in str(refused.exception)
    kept = tiny_dataset.labels[:2]
    info = tiny_dataset.info.model_copy(
        update={"taxa": tiny_dataset.info.taxa[:2], "training_counts": tiny_dataset.info.training_counts[:2]}
    )
    samples = tuple(sample for sample in tiny_dataset.samples if sample.label in kept)
    fewer = Dataset(tmp_path / "data", info, samples)
    write_dataset(fewer, ())
    begin_run(tmp_path / "run", make_recipe("debug"), fewer.folder, "another hash", "train")
    refused = evaluate(runs[0], tmp_path / "run", "--data", tiny_dataset.folder)
    assert isinstance(refused.exception, ValueError)
    assert "an ensemble shares one" in str(refused.exception)
