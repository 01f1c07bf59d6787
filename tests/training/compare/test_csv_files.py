"""Whoever reckons on has each group's and each species' figures, with the intervals of one run."""

from pathlib import Path

import pytest

from models.metrics import wilson
from tests.training.compare.reports import WEAK, rows_of, some_results, written
from tests.training.compare.synthetic import synthetic_result
from training.compare.methods import make_comparison
from training.compare.sections import data_section
from training.data.prepared import Dataset


def test_each_group_has_its_numbers_and_figures_with_intervals_and_its_calibration_error(
    dataset: Dataset, tmp_path: Path
) -> None:
    written(dataset, some_results(dataset), tmp_path)
    comparison = make_comparison(some_results(dataset), dataset, "baseline")
    evaluation = comparison.best.test[0]
    rows = [row for row in rows_of(tmp_path / "groups.csv") if row["recipe"] == comparison.best.recipe]
    assert [row["group"] for row in rows] == ["head", "middle", "tail"]
    for row, found in zip(rows, evaluation.groups, strict=True):
        assert (row["num_species"], row["num_species_tested"], row["num_test_images"]) == ("3", "3", "36")
        assert found.ece is not None
        assert float(row["ece"]) == pytest.approx(found.ece, abs=1e-6)
        for score, estimate in (("recall", found.recall), ("precision", found.precision), ("f1", found.f1)):
            assert estimate is not None
            said = [float(row[f"{score}{end}"]) for end in ("", "_low", "_high")]
            assert said == pytest.approx([estimate.value, *estimate.interval], abs=1e-6)
            assert said[1] < said[0] < said[2]  # F1 too, which has no interval without resampling


def test_each_species_has_recall_precision_and_f1_with_intervals_where_they_are_defined(
    dataset: Dataset, tmp_path: Path
) -> None:
    never = synthetic_result(dataset, "focal", recalls=WEAK)
    named = [label if label != 8 else 0 for label in never.test.labels]
    never = never.model_copy(update={"test": never.test.model_copy(update={"predicted": tuple(named)})})
    written(dataset, [never], tmp_path)
    first, *_, last = rows_of(tmp_path / "species.csv")
    assert (first["support"], first["num_named"], first["recall"], first["precision"]) == (
        *("12", "24"),
        *("1.0", "0.5"),
    )
    low, high = wilson(12, 24)
    assert (float(first["precision_low"]), float(first["precision_high"])) == pytest.approx(
        (low, high), abs=1e-6
    )
    assert float(first["f1"]) == pytest.approx(2 / 3, abs=1e-6)
    assert float(first["f1_low"]) < 2 / 3 < float(first["f1_high"])
    assert (last["recall"], last["precision"], last["precision_low"]) == ("0.0", "never named", "")
    assert float(last["f1"]) == float(last["f1_low"]) == 0 < float(last["f1_high"])


def test_the_data_section_says_how_many_test_photos_a_group_has(dataset: Dataset) -> None:
    (table,) = data_section(make_comparison(some_results(dataset), dataset, "baseline")).beside
    place = [column.text for column in table.columns].index("test photos")
    assert [row[place].text for row in table.rows] == ["36", "36", "36"]
