"""The figures of a card, from a bundle that has them all and from one that has not."""

from pathlib import Path

import pytest

from models import bundle
from models.card import Figure
from models.evaluation import Evaluation
from tests.tiny_bundle import write_tiny_bundle
from tests.trusted_bundle import write_trusted_bundle
from training.figures import card_figures


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return bundle.read(write_trusted_bundle(tmp_path_factory.mktemp("store"))).evaluation


def by_name(evaluation: Evaluation) -> dict[str, Figure]:
    return {figure.name: figure for figure in card_figures(evaluation)}


def test_a_card_says_how_far_probabilities_sets_and_answers_hold(evaluation: Evaluation) -> None:
    found = by_name(evaluation)
    assert list(found) == [
        "accuracy",
        *(f"{group} recall" for group in ("head", "middle", "tail")),
        *("ECE", "head ECE", "middle ECE", "tail ECE"),
        *("macro-coverage at 0.9", "set size at 0.9"),
        *("answered right at 0.9", "answered at 0.9"),
    ]
    assert evaluation.calibration is not None
    assert found["ECE"].value == evaluation.ece == evaluation.calibration.groups[0].calibrated.value
    used = next(report for report in evaluation.prediction_sets if report.alpha == 0.1)
    assert used.score == "group"
    assert found["macro-coverage at 0.9"].value == used.groups[0].macro_coverage.value
    assert found["set size at 0.9"].words == f"{used.groups[0].mean_size:.2f}"
    assert all(figure.definition for figure in found.values())
    for figure in found.values():
        if figure.interval is not None:
            assert figure.interval[0] <= figure.value <= figure.interval[1]


def test_what_was_not_measured_is_no_figure(tmp_path: Path) -> None:
    older = bundle.read(write_tiny_bundle(tmp_path)).evaluation
    assert list(by_name(older))[-1] == "ECE"


def test_a_set_of_everything_has_no_figure(tmp_path: Path) -> None:
    few = bundle.read(write_trusted_bundle(tmp_path, calibration_photos=1)).evaluation
    assert not [name for name in by_name(few) if "coverage" in name or "set" in name]
