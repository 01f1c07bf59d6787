"""Calibration and roll-up reports against counts by hand."""

import numpy as np
import pytest

from models import trust
from models.decision import Decision
from models.differences import errors_of_sorted
from models.groups import Group
from models.metrics import expected_calibration_error, reliability_bins, wilson
from models.taxonomy import Taxon

TAXA = (
    Taxon(label="a1", scientific_name="Alba prima", genus="Alba", family="Albidae"),
    Taxon(label="a2", scientific_name="Alba altera", genus="Alba", family="Albidae"),
    Taxon(label="b1", scientific_name="Bela una", genus="Bela", family="Albidae"),
    Taxon(label="c1", scientific_name="Cana sola", genus="Cana", family="Canidae"),
)
GROUPS: tuple[Group, ...] = ("head", "head", "tail", "tail")


def test_the_calibration_error_is_that_of_the_whole_evaluation_and_lies_in_its_interval() -> None:
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(400), rng.random(400) < 0.5
    found = trust.calibration_error(confidence, correct, num_bootstrap=200)
    assert found.value == expected_calibration_error(reliability_bins(confidence, correct))
    assert found.interval[0] <= found.value <= found.interval[1]
    assert found.interval[1] - found.interval[0] > 0.02


def test_a_row_of_the_bootstrap_is_judged_as_an_evaluation_judges_it() -> None:
    rng = np.random.default_rng(1)
    confidence = np.sort(rng.random((5, 100)), axis=1)
    correct = rng.random((5, 100)) < confidence
    expected = [
        expected_calibration_error(reliability_bins(*row)) or 0.0
        for row in zip(confidence, correct, strict=True)
    ]
    np.testing.assert_allclose(errors_of_sorted(confidence - correct), expected, atol=1e-11)


def test_chance_explains_the_error_of_a_calibrated_model_and_not_that_of_one_too_sure() -> None:
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.5, 1, 600)
    by_chance = trust.error_by_chance(confidence, num_replicates=400)
    honest = trust.calibration_error(confidence, rng.random(600) < confidence, num_bootstrap=0)
    boastful = trust.calibration_error(confidence, rng.random(600) < confidence - 0.15, num_bootstrap=0)
    assert honest.value < by_chance < boastful.value


def test_each_group_is_judged_on_its_own_photos_and_an_untested_one_is_left_out() -> None:
    flat, sure = np.full((4, 4), 0.25), np.eye(4)[[0, 0, 1, 1]]
    labels = np.array([0, 0, 1, 1])
    groups = trust.calibration_groups(flat, sure, sure, labels, GROUPS, num_bootstrap=20)
    assert [group.group for group in groups] == ["all", "head"]
    assert [group.num_images for group in groups] == [4, 4]
    assert groups[1].calibrated.value == groups[1].one_temperature.value == 0.0
    assert groups[1].uncalibrated.value == 0.5  # four bins of a photo: two are off by 0.75, two by 0.25


def test_the_roll_up_report_counts_ranks_and_what_was_right_at_each() -> None:
    chances = np.array(
        [
            [0.96, 0.02, 0.01, 0.01],  # species, right
            [0.97, 0.01, 0.01, 0.01],  # species, wrong: it is a2
            [0.60, 0.38, 0.01, 0.01],  # genus Alba, right: it is a2
            [0.50, 0.30, 0.18, 0.02],  # family Albidae, wrong: it is c1
            [0.30, 0.20, 0.10, 0.40],  # nothing
        ]
    )
    labels = np.array([0, 1, 1, 3, 2])
    report = trust.roll_up_reports(chances, labels, TAXA, GROUPS)[2]
    assert report.reliability == 0.95
    whole, head, tail = report.groups
    counted = {rank.kind: (rank.num_images, rank.share) for rank in whole.ranks}
    assert counted == {"species": (2, 0.4), "genus": (1, 0.2), "family": (1, 0.2), "unknown": (1, 0.2)}
    right = {rank.kind: rank.accuracy and rank.accuracy.value for rank in whole.ranks}
    assert right == {"species": 0.5, "genus": 1.0, "family": 0.0, "unknown": None}
    assert whole.accuracy is not None
    assert (whole.accuracy.value, whole.accuracy.interval) == (0.5, wilson(2, 4))
    assert (head.num_images, tail.num_images) == (3, 2)
    assert head.accuracy is not None
    assert head.accuracy.value == pytest.approx(2 / 3)
    assert tail.accuracy is not None
    assert tail.accuracy.value == 0.0


def test_asking_for_more_never_answers_more_often() -> None:
    rng = np.random.default_rng(3)
    chances = rng.dirichlet(np.full(4, 0.3), 300)
    reports = trust.roll_up_reports(chances, rng.integers(0, 4, 300), TAXA, GROUPS)
    unknown = [report.groups[0].ranks[-1].share for report in reports]
    assert unknown == sorted(unknown)
    assert 0 < unknown[0] < unknown[-1]


def test_a_genus_is_right_for_its_species_only() -> None:
    alba = Taxon(label="Alba", scientific_name="Alba", taxon_rank="genus", genus="Alba")
    decision = Decision("genus", alba, 0.9, "")
    assert [trust.is_right(decision, truth) for truth in TAXA] == [True, True, False, False]
    assert not trust.is_right(Decision("unknown", None, None, ""), TAXA[0])
    assert not trust.is_right(Decision("species", TAXA[0], 0.9, ""), TAXA[1])
