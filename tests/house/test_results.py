"""The committed results are those of the documents' tables, and were honestly got."""

from pathlib import Path

import pytest

from tests.house.tree import REPO
from training.compare.methods import WITHOUT
from training.compare.record import read_result

RESULTS = sorted((REPO / "docs" / "results").glob("*/*.json"))


def test_there_are_results() -> None:
    assert len(RESULTS) >= 14


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_result_is_in_its_tables_with_the_accuracy_of_its_own_predictions(path: Path) -> None:
    result = read_result(path)
    assert path.stem == result.key
    shown = result.recipe.replace(WITHOUT, " without ")
    rows = [line for line in (path.parent / "tables.md").read_text().splitlines() if f" {shown} " in line]
    assert rows, "run: python -m training compare --only-report"
    if WITHOUT in result.recipe:  # shown by what it differs in from the full recipe
        return
    of_recipe = [
        read_result(other) for other in path.parent.glob(f"{result.recipe}-{result.backbone}-*.json")
    ]
    accuracy = sum(100 * other.test.correct.mean() for other in of_recipe) / len(of_recipe)
    assert any(f"| {accuracy:.1f}" in row for row in rows)


@pytest.mark.parametrize("comparison", sorted({path.parent for path in RESULTS}), ids=lambda path: path.name)
def test_all_runs_of_a_comparison_were_judged_on_the_same_photos(comparison: Path) -> None:
    results = [read_result(path) for path in comparison.glob("*.json")]
    assert len({result.data_sha256 for result in results}) == 1
    assert len({result.test.labels for result in results}) == 1
    assert len({(result.config.optimisation.epochs, result.config.size_px) for result in results}) == 1
