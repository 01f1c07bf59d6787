"""What an evaluation says of trust, from logits and what was fitted to them on other photos."""

import numpy as np

from models.card import Calibration
from models.decision import calibrated
from models.scaling import CountScaling
from training.data.prepared import Dataset
from training.evaluate import table
from training.trust import NOTHING_FITTED, Fitted, Judged, evaluate_judged, fit

SCALING = CountScaling(intercept=-1.0, slope=0.5, nll_gain=0.1, nll_gain_error=0.01)

NO_FIGURES = {"split", "data_sha256", "num_test_images", "num_species_tested", "notes", "definitions"}


def test_without_validation_photos_nothing_is_fitted_and_only_decisions_are_reported(
    tiny_dataset: Dataset,
) -> None:
    counts = tiny_dataset.info.training_counts
    fitted = fit(
        np.zeros((0, 0)),
        np.zeros(0, dtype=np.int64),
        counts,
        groups=tiny_dataset.groups,
        logit_prior="none",
        fitted_on="no photo",
    )
    assert fitted == NOTHING_FITTED
    judged = [Judged(tiny_dataset.split("test"), np.eye(3) * 9, fitted, tiny_dataset.info.training_counts)]
    found = evaluate_judged(judged, tiny_dataset, split="test")
    assert (found.calibration, found.prediction_sets) == (None, ())
    assert found.roll_up[0].groups[0].ranks[0].share == 1.0
    bare = evaluate_judged(judged, tiny_dataset, split="val", with_trust=False)
    assert bare.roll_up == ()
    assert "roll_up" not in bare.definitions
    assert "sure" not in table(bare)


def test_the_calibration_of_the_card_is_what_is_judged_beside_one_temperature_and_none(
    tiny_dataset: Dataset,
) -> None:
    logits = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    calibration = Calibration(temperature=2.0, scaling=SCALING, fitted_on="other photos", num_images=7)
    judged = Judged(
        tiny_dataset.split("test"), logits, Fitted(calibration), tiny_dataset.info.training_counts
    )
    found = evaluate_judged([judged], tiny_dataset, split="test")
    assert found.calibration is not None
    assert (found.calibration.method, found.calibration.num_calibration_images) == ("training count", 7)
    figures = {name for name, value in found if value not in (None, (), {})} - NO_FIGURES
    assert set(found.definitions) == figures, "each figure that is stored has its definition beside it"
    whole = found.calibration.groups[0]
    assert whole.calibrated.value == found.ece
    assert len({whole.uncalibrated.value, whole.one_temperature.value, whole.calibrated.value}) == 3
    expected = calibrated(logits, calibration, tiny_dataset.info.training_counts).max(axis=1)
    said = sorted(part.confidence for part in found.reliability["all"])
    np.testing.assert_allclose(said, np.sort(expected))
    assert "by one temperature" in table(found)
    assert "by training count on 7 other photos" in table(found)
