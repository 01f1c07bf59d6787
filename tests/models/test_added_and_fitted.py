"""What was fitted before a species was added stays what it was for the others: temperature, sets, and the prior."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from models.card import Calibration
from models.conformal import ConformalTable, SetRule, SetScore
from models.decision import calibrated, probabilities
from models.scaling import CountScaling
from models.target_prior import exchange_prior, log_prior_left

COUNTS = (200, 80, 30, 12, 5, 2)
WITH_ADDED = (*COUNTS[:3], 0, *COUNTS[3:], 0)
LEARNT = [0, 1, 2, 4, 5, 6]
LOGITS = arrays.arrays(np.float64, (5, len(WITH_ADDED)), elements=st.floats(-30, 30, width=32))
SCALING = CountScaling(intercept=-0.5, slope=0.3, nll_gain=0.1, nll_gain_error=0.01)
CALIBRATION = Calibration(scaling=SCALING, fitted_on="drawn", num_images=9)


def table(score: SetScore, power: float) -> ConformalTable:
    quantile = 0.8 if score == "plain" else -0.5
    return ConformalTable(
        score=score, prior_power=power, fitted_on="x", num_images=99, alphas=(0.1,), quantiles=(quantile,)
    )


@given(LOGITS)
def test_the_temperature_is_that_of_the_version_without_it(logits: NDArray[np.float64]) -> None:
    with_added = calibrated(logits, CALIBRATION, WITH_ADDED)[:, LEARNT]
    without = calibrated(logits[:, LEARNT], CALIBRATION, COUNTS)
    total = with_added.sum(axis=1, keepdims=True)
    kept = total[:, 0] > 1e-12
    np.testing.assert_allclose((with_added / total)[kept], without[kept], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("score", "power"), [("plain", 0.0), ("prevalence", 0.0), ("prevalence", 1.0)])
@given(logits=LOGITS)
def test_every_other_species_is_in_the_sets_that_it_was_in(
    logits: NDArray[np.float64], score: SetScore, power: float
) -> None:
    without = SetRule(table(score, power), COUNTS).members(probabilities(logits[:, LEARNT]), 0.9)
    rule = SetRule(table(score, power), WITH_ADDED)
    found = rule.members(probabilities(logits), 0.9)
    assert rule.num_added == 2
    assert (found[:, LEARNT] >= without).all()
    assert found[np.arange(5), probabilities(logits).argmax(axis=1)].all()


def test_one_that_the_photo_plainly_shows_stands_beside_the_likeliest_of_the_others() -> None:
    chances = probabilities(np.array([3.0, 1.0, 0.0, 12.0, 0.0, 0.0, 0.0, 0.0]))
    found = SetRule(table("plain", 0.0), WITH_ADDED).members(chances, 0.9)
    assert np.flatnonzero(found).tolist() == [0, 3]


def test_what_a_checklist_excludes_does_not_come_back_as_the_likeliest_of_the_others() -> None:
    chances = np.eye(len(WITH_ADDED))[3]
    found = SetRule(table("plain", 0.0), WITH_ADDED).members(chances, 0.9)
    assert np.flatnonzero(found).tolist() == [3]


def test_a_list_of_everything_helps_it_against_the_frequent_as_it_hurts_it_against_the_rare() -> None:
    before = probabilities(np.linspace(1.0, -1.0, len(WITH_ADDED)))
    after = exchange_prior(before, log_prior_left("training", WITH_ADDED), np.full(len(WITH_ADDED), 1 / 8))
    ahead = np.log(before[3]) - np.log(before[LEARNT]).mean()
    assert np.log(after[3]) - np.log(after[LEARNT]).mean() == pytest.approx(ahead)
