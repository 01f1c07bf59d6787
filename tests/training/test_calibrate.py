"""Calibration finds what labels were drawn from, and a scaling by training count only where there is one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.card import Calibration
from models.decision import calibrated, probabilities, top_k
from models.scaling import SCALE_RANGE, CountScaling, count_temperatures
from training import calibrate
from training.calibrate import fit_calibration, fit_count_scaling, fit_temperature, log_losses

COUNTS = (100, 50, 25, 12, 6, 3)


def _drawn(intercept: float, slope: float, num: int = 1500) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits [N, C], and labels drawn from their softmax at the temperatures of a scaling."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(num, len(COUNTS))) * 4
    scale = count_temperatures(intercept, slope, logits, COUNTS)
    chances = probabilities(logits / scale[:, None])
    return logits, (chances.cumsum(axis=1) > rng.random((num, 1))).argmax(axis=1)


def _scaled(intercept: float, slope: float) -> Calibration:
    scaling = CountScaling(intercept=intercept, slope=slope, nll_gain=0.1, nll_gain_error=0.01)
    return Calibration(temperature=3.0, scaling=scaling, fitted_on="drawn photos", num_images=9)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_the_temperature_is_the_best_of_its_whole_grid(scale: float) -> None:
    logits, labels = _drawn(0.5, 0.0, num=200)
    losses = [log_losses(logits * scale / temperature, labels).mean() for temperature in calibrate._GRID]
    assert fit_temperature(logits * scale, labels) == calibrate._GRID[int(np.argmin(losses))]


def test_a_scaling_is_found_again_and_kept() -> None:
    logits, labels = _drawn(-0.4, 0.4)
    found = fit_calibration(logits, labels, COUNTS, fitted_on="drawn photos").scaling
    assert found is not None
    assert found.slope == pytest.approx(0.4, abs=0.1)
    assert found.intercept == pytest.approx(-0.4, abs=0.3)
    assert found.nll_gain > 2 * found.nll_gain_error > 0


def test_one_temperature_stays_where_there_is_nothing_more_to_find() -> None:
    found = fit_calibration(*_drawn(0.7, 0.0), COUNTS, fitted_on="drawn photos")
    assert found.scaling is None
    assert found.temperature == pytest.approx(2.0, rel=0.1)
    assert fit_calibration(*_drawn(-0.4, 0.4, num=9), COUNTS, fitted_on="drawn photos").scaling is None
    logits, labels = _drawn(-0.4, 0.4)
    assert fit_calibration(logits, labels, (7,) * len(COUNTS), fitted_on="drawn photos").scaling is None


def test_no_other_scaling_has_a_smaller_loss() -> None:
    logits, labels = _drawn(-0.4, 0.4, num=600)
    intercept, slope = fit_count_scaling(logits, labels, COUNTS)

    def loss(a: float, b: float) -> float:
        scale = count_temperatures(a, b, logits, COUNTS)
        return float(log_losses(logits / scale[:, None], labels).sum() + calibrate._CAUTION * b**2 / 2)

    least = loss(intercept, slope)
    for a in (-0.05, 0.0, 0.05):
        for b in (-0.02, 0.0, 0.02):
            assert least <= loss(intercept + a, slope + b) + 1e-6


def test_a_slope_of_zero_is_one_temperature() -> None:
    logits = np.random.default_rng(1).normal(size=(20, len(COUNTS))) * 4
    found = calibrated(logits, _scaled(np.log(3.0), 0.0), COUNTS)
    np.testing.assert_allclose(found, probabilities(logits, 3.0), rtol=1e-12)
    bare = Calibration(temperature=3.0, fitted_on="drawn photos", num_images=9)
    np.testing.assert_array_equal(calibrated(logits, bare, COUNTS), probabilities(logits, 3.0))


def test_a_scaling_changes_how_sure_an_answer_is_and_never_the_order() -> None:
    logits = np.random.default_rng(2).normal(size=(20, len(COUNTS))) * 4
    found = calibrated(logits, _scaled(-1.0, 0.5), COUNTS)
    for before, after in zip(logits, found, strict=True):
        assert top_k(before, len(COUNTS)) == top_k(after, len(COUNTS))
        np.testing.assert_allclose(calibrated(before, _scaled(-1.0, 0.5), COUNTS), after, rtol=1e-12)
    rare, frequent = (
        calibrated(np.eye(len(COUNTS))[kind] * 4, _scaled(-1.0, 0.5), COUNTS).max() for kind in (5, 0)
    )
    assert rare > frequent


def test_no_count_makes_a_softmax_flat_or_certain() -> None:
    low, high = (
        count_temperatures(0.0, 9.0, np.eye(2), (10**6, 1)),
        count_temperatures(0.0, -9.0, np.eye(2), (10**6, 1)),
    )
    assert (low.max(), high.min()) == (SCALE_RANGE[1], SCALE_RANGE[0])
