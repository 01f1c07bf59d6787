"""Differences between two versions are those of the same photos, with intervals that hold what they promise."""

import numpy as np
import pytest

from models import metrics
from models.changes import Part
from models.comparison import compare
from models.differences import (
    calibration_errors,
    newcombe,
    newcombe_paired,
    resampled_photos,
)
from models.groups import GROUPS
from models.resampling import make_design, replicates
from tests.measured import ALL, LABELS, WORSE_TAIL, measured


@pytest.mark.parametrize(
    ("counts", "expected"),
    [  # worked out in Newcombe (1998), method 10
        ((20, 12, 2, 16), (0.0562, 0.3292)),
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        ((36, 14, 0, 0), (0.1528, 0.4167)),
    ],
)
def test_the_paired_interval_is_newcombes(
    counts: tuple[int, int, int, int], expected: tuple[float, float]
) -> None:
    assert newcombe_paired(*counts) == pytest.approx(expected, abs=2e-4)


def test_newcombes_intervals_turn_over_with_the_versions() -> None:
    low, high = newcombe_paired(20, 12, 2, 16)
    assert newcombe_paired(20, 2, 12, 16) == pytest.approx((-high, -low), abs=1e-12)
    low, high = newcombe(56, 70, 48, 80)
    assert newcombe(48, 80, 56, 70) == pytest.approx((-high, -low), abs=1e-12)
    assert newcombe(0, 0, 1, 2) == newcombe_paired(0, 0, 0, 0) == (-1.0, 1.0)


def test_replicates_draw_each_species_as_often_as_it_has_photos() -> None:
    species = np.array([0, 0, 0, 4, 7, 7])
    for places in resampled_photos(species, seed=3):
        assert (species[places] == species).all()


def test_a_replicates_ece_is_that_of_the_metrics() -> None:
    rng = np.random.default_rng(5)
    species = np.sort(rng.integers(0, 6, 80))
    correct, confidence = rng.random(80) < 0.6, rng.random(80)
    (places,) = [places[:1] for places in [next(resampled_photos(species, seed=1))]]
    drawn_correct, drawn_confidence = correct[places[0]], confidence[places[0]]
    bins = metrics.reliability_bins(drawn_confidence, drawn_correct)
    expected = metrics.expected_calibration_error(bins)
    assert calibration_errors(confidence[places], correct[places])[0] == pytest.approx(expected, abs=1e-12)


def test_the_figures_of_a_group_are_the_evaluations() -> None:
    new, old = measured(WORSE_TAIL, confidence=0.7), measured(ALL, confidence=0.9)
    found = compare(new, old)
    assert (found.basis, found.num_photos, found.notes) == ("paired", 60, ())
    for name in GROUPS:
        change = found.part(name)
        for side, evaluation in (("candidate", new.evaluation), ("reference", old.evaluation)):
            group = evaluation.group(name)
            assert group.recall is not None
            assert change.recall is not None
            assert change.ece is not None
            assert getattr(change.recall, side) == pytest.approx(group.recall.value, abs=1e-12)
            assert getattr(change.ece, side) == pytest.approx(group.ece, abs=1e-12)


def test_gains_and_losses_are_counted_photo_by_photo() -> None:
    old = [*ALL[:4], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [1] * 10]
    new = [*ALL[:4], [0, 1, 1, 1, 1, 0, 0, 0, 0, 0], [1] * 10]
    found = compare(measured(new), measured(old))
    tail = found.part("tail")
    assert (tail.num_gained, tail.num_lost, tail.num_photos, tail.num_species_tested) == (2, 1, 20, 2)
    species = {each.label: each for each in found.species}
    assert (species["e"].num_gained, species["e"].num_lost) == (2, 1)
    assert species["e"].recall is not None
    assert species["e"].recall.change == pytest.approx(0.1)
    assert species["e"].recall.interval == pytest.approx(newcombe_paired(2, 2, 1, 5))


def test_the_bootstraps_spread_is_the_exact_one() -> None:
    """Of a mean over species: the variances of the species' means, added up."""
    rng = np.random.default_rng(11)
    new, old = (rng.random((6, 40)) < share for share in (0.6, 0.7))
    gains = new.astype(float) - old
    design = make_design(np.repeat(np.arange(6), 40), ("head",) * 6)
    changes = replicates(gains.ravel(), design, num=20_000)[:, design.figures.index("macro_recall")]
    exact = np.sqrt(gains.var(axis=1, ddof=1).sum() / 40) / 6
    assert changes.std() == pytest.approx(exact, rel=0.02)


def test_pairing_sees_what_two_samples_cannot() -> None:
    old = [[1] * 6 + [0] * 4] * 6
    new = [[1] * 7 + [0] * 3] * 6
    paired = compare(measured(new), measured(old)).part("all").recall
    unpaired = compare(measured(new, keep=False), measured(old, keep=False)).part("all").recall
    assert paired is not None
    assert unpaired is not None
    assert paired.change == pytest.approx(unpaired.change)
    assert paired.interval is not None
    assert unpaired.interval is not None
    assert unpaired.interval[0] < paired.interval[0]
    assert unpaired.interval[1] > paired.interval[1]
    assert paired.interval[0] > 0 > unpaired.interval[0]


def test_one_photo_a_species_gives_no_false_certainty() -> None:
    old, new = [[1], [1], [1], [1], [1], [0]], [[1], [1], [1], [1], [0], [0]]
    change = compare(measured(new), measured(old)).part("tail").recall
    assert change is not None
    assert change.change == -0.5
    assert change.interval is not None
    assert change.interval[1] > 0, "a bootstrap alone would be sure of it"


def test_without_predictions_the_comparison_is_unpaired_and_says_so() -> None:
    found = compare(measured(WORSE_TAIL, keep=False), measured(ALL))
    assert found.basis == "unpaired"
    assert "no predictions.csv" in found.notes[0]
    tail = found.part("tail")
    assert (tail.num_gained, tail.num_lost, tail.num_photos) == (None, None, 20)
    assert tail.recall is not None
    assert tail.recall.change == pytest.approx(-0.85)
    assert {each.label for each in found.species} == set(LABELS)


def test_figures_of_different_photos_are_not_set_against_each_other() -> None:
    for candidate in (
        measured(ALL, first_photo=1000, data="other"),
        measured(ALL, keep=False, data="other"),
    ):
        found = compare(candidate, measured(ALL))
        assert (found.basis, found.num_photos) == ("none", 0)
        assert all(group.recall is group.ece is None for group in found.groups)
        assert "cannot be compared" in found.notes[0]


def test_only_photos_in_common_are_compared() -> None:
    found = compare(measured(ALL, first_photo=30, data="other"), measured(ALL))
    assert found.num_photos == 0, "the same photo under another label is another question"
    found = compare(measured([*ALL[:5], [1] * 14], data="other"), measured(ALL))
    assert found.num_photos == 60
    assert "60 test photos in common, of 60 of the one and 64 of the other" in found.notes[0]


def test_species_that_come_and_go_are_named_and_the_rest_is_compared() -> None:
    labels = ("a", "b", "c", "d", "e", "g")
    found = compare(measured(ALL, labels=labels), measured(ALL))
    assert (found.added, found.removed) == (("g",), ("f",))
    assert found.part("all").num_species == 5
    assert found.num_photos == 50


def test_groups_are_the_reference_versions() -> None:
    """More photos in training move a species out of the tail; whoever looked at the tail still looks at it."""
    grown = (200, 150, 60, 40, 120, 50)
    for keep in (True, False):
        found = compare(measured(WORSE_TAIL, counts=grown, keep=keep), measured(ALL, keep=keep))
        tail: Part = "tail"
        assert found.part(tail).num_species == 2
        assert found.part(tail).recall is not None
