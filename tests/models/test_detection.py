"""AUROC and FPR@95 against counts by hand, scikit-learn and coverage of the interval."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.detection import auroc, auroc_interval, false_positives


def test_it_is_scikit_learns_auroc_with_ties_and_without() -> None:
    rng = np.random.default_rng(0)
    for digits in (0, 8):
        known, outside = rng.normal(size=60).round(digits), rng.normal(1, 2, size=45).round(digits)
        truth = np.repeat([0, 1], [60, 45])
        assert auroc(known, outside) == pytest.approx(roc_auc_score(truth, np.concatenate([known, outside])))


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="known photos and outsiders"):
        auroc(np.zeros(0), np.zeros(3))


def test_the_interval_holds_the_true_value_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    truth = 0.9213503964748575  # of two normals two standard deviations apart: Phi(2 / sqrt(2))
    held = 0
    for _ in range(400):
        low, high = auroc_interval(auroc(rng.normal(size=80), rng.normal(2, 1, size=60)), 80, 60)
        held += low <= truth <= high
    assert 0.92 < held / 400 < 0.99


def test_a_perfect_score_on_few_photos_has_a_wide_interval() -> None:
    assert auroc_interval(1.0, 10, 10)[0] < 0.85 < auroc_interval(1.0, 1000, 1000)[0]


def test_95_in_100_known_photos_are_kept_where_false_positives_are_counted() -> None:
    found = false_positives(np.arange(100.0), np.array([0.0, 95.0, 96.0, 200.0]))
    assert found.value == 0.5
    assert found.interval[0] < 0.5 < found.interval[1]
