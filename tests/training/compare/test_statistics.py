"""Differences, their intervals and p-values are what their definitions say, against references and simulations."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.changes import PARTS, wider
from models.comparison import compare
from models.differences import NUM_REPLICATES, newcombe_paired
from models.evaluation import Estimate, SpeciesMetrics
from models.groups import GROUPS, Group
from models.metrics import wilson
from models.resampling import figures_of, make_design, replicates
from tests.measured import ALL, WORSE_TAIL, measured
from tests.training.compare.synthetic import synthetic_dataset, synthetic_result
from training.compare.methods import FIGURES, make_comparison, share_right
from training.compare.selection import validation_standings
from training.compare.statistics import (
    corrected,
    f1_of_species,
    holm,
    intervals_of,
    paired_differences,
    spread,
)

THREE: tuple[Group, ...] = ("head", "middle", "tail")
LABELS = np.repeat([0, 1, 2], 20)


def drawn(seed: int, share: float = 0.6, size: int = 60) -> NDArray[np.float64]:
    return (np.random.default_rng(seed).random(size) < share).astype(float)


def test_a_method_does_not_differ_from_itself() -> None:
    right_N = drawn(0)
    found = paired_differences(right_N, right_N, make_design(LABELS, THREE), num=200)
    assert set(found) == {"accuracy", "macro_recall", *GROUPS}
    assert {(one.value, one.interval, one.p) for one in found.values()} == {(0.0, (0.0, 0.0), 1.0)}


def test_a_difference_is_ours_minus_theirs_and_turns_with_them() -> None:
    theirs_N, ours_N = drawn(0, 0.3), drawn(1, 0.9)
    design = make_design(LABELS, THREE)
    found = paired_differences(ours_N, theirs_N, design, num=2000)
    turned = paired_differences(theirs_N, ours_N, design, num=2000)
    for name, one in found.items():
        assert one.value > 0
        assert one.interval[0] < one.value < one.interval[1]
        assert turned[name].value == pytest.approx(-one.value, abs=1e-12)
    assert found["accuracy"].value == pytest.approx(ours_N.mean() - theirs_N.mean(), abs=1e-12)
    assert found["accuracy"].p < 0.01


def test_two_versions_and_two_recipes_are_resampled_alike() -> None:
    new, old = measured(WORSE_TAIL), measured(ALL)
    right = [np.array(outcomes, dtype=np.float64).ravel() for outcomes in (WORSE_TAIL, ALL)]
    groups = [species.group for species in old.evaluation.species]
    design = make_design(np.repeat(np.arange(len(ALL)), len(ALL[0])), groups)
    as_recipes = paired_differences(right[0], right[1], design, num=NUM_REPLICATES)
    as_versions = compare(new, old)
    for part in PARTS:
        one, other = as_recipes["macro_recall" if part == "all" else part], as_versions.part(part)
        assert other.recall is not None
        assert other.recall.change == pytest.approx(one.value, abs=1e-12)
        held = np.isin(np.repeat(groups, len(ALL[0])), GROUPS if part == "all" else part)
        gained, lost = (int(((right[a] > right[b]) & held).sum()) for a, b in ((0, 1), (1, 0)))
        both = int(((right[0] + right[1] == 2) & held).sum())
        pooled = newcombe_paired(both, gained, lost, int(held.sum()) - both - gained - lost)
        assert other.recall.interval == pytest.approx(wider(one.interval, pooled), abs=1e-12)


def test_a_certain_difference_has_the_smallest_p_that_so_many_replicates_allow() -> None:
    found = paired_differences(np.ones(60), np.zeros(60), make_design(LABELS, THREE), num=999)
    assert {(one.value, one.p) for one in found.values()} == {(1.0, 2 / 1000)}


def test_replicates_vary_as_the_textbook_says_even_with_few_photos_a_species() -> None:
    labels_N = np.repeat([0, 1], [3, 5])
    values_N = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
    design = make_design(labels_N, ("head", "tail"))
    drawn_B = replicates(values_N, design, num=40_000)[:, design.figures.index("macro_recall")]
    expected = sum(values_N[labels_N == c].var(ddof=1) / (labels_N == c).sum() for c in (0, 1)) / 4
    assert drawn_B.var() == pytest.approx(expected, rel=0.03)
    assert drawn_B.mean() == pytest.approx((2 / 3 + 2 / 5) / 2, abs=0.005)


def test_an_interval_covers_the_truth_in_about_95_of_100_simulated_test_sets() -> None:
    rng = np.random.default_rng(11)
    labels_N = np.repeat(np.arange(20), 6)
    design = make_design(labels_N, ("head",) * 10 + ("tail",) * 10)
    ours_C, theirs_C = rng.uniform(0.4, 0.9, 20), rng.uniform(0.3, 0.8, 20)
    truth = float((ours_C - theirs_C).mean())
    covered = 0
    for seed in range(400):
        hard_N = rng.random(len(labels_N))  # one draw for both: what makes the photos the same
        ours_N = (hard_N < ours_C[labels_N]).astype(np.float64)
        theirs_N = (hard_N < theirs_C[labels_N]).astype(np.float64)
        found = paired_differences(ours_N, theirs_N, design, num=400, seed=seed)["macro_recall"]
        covered += found.interval[0] <= truth <= found.interval[1]
    assert 0.92 <= covered / 400 <= 0.98


def test_species_with_one_photo_each_are_not_without_chance() -> None:
    labels_N = np.arange(10)
    groups: tuple[Group, ...] = ("head",) * 4 + ("tail",) * 6
    values_N = np.array([1, 0, 1, 1, 0, 1, 0, 1, 0, 1.0])
    found = intervals_of(values_N, make_design(labels_N, groups))
    low, high = found["tail"]
    assert low < values_N[4:].mean() < high


def test_a_group_without_tested_species_has_no_figure() -> None:
    design = make_design(np.array([0, 0, 2, 2]), ("head", "middle", "tail"))
    assert design.figures == ("accuracy", "macro_recall", "head", "tail")


def test_figures_are_those_of_the_one_definition() -> None:
    dataset = synthetic_dataset((200, 120, 60, 30, 8, 3), num_test=7)
    result = synthetic_result(dataset, "baseline", recalls={"head": 0.9, "middle": 0.6, "tail": 0.4})
    comparison = make_comparison([result], dataset, "baseline")
    found = dict(
        zip(comparison.design.figures, figures_of(share_right([result]), comparison.design), strict=True)
    )
    for name, value in found.items():
        assert value == pytest.approx(FIGURES[name](comparison.best.test[0]), abs=1e-12)


def test_the_validation_score_is_the_mean_of_the_groups_recalls_over_the_seeds() -> None:
    dataset = synthetic_dataset()
    results = [synthetic_result(dataset, "baseline", seed=seed) for seed in (0, 1)]
    method = make_comparison(results, dataset, "baseline").best
    recalls = [found.mean for group in GROUPS if (found := method.on_validation(group))]
    assert validation_standings(results, dataset.groups)[0].mean == pytest.approx(np.mean(recalls), abs=1e-12)
    other = results[0].model_copy(update={"test": results[1].test})
    (alone,), (first,) = (validation_standings(of, dataset.groups) for of in ([other], results[:1]))
    assert alone.mean == first.mean


def test_the_deviation_is_that_of_a_sample_and_absent_for_one_seed() -> None:
    values = [0.71, 0.75, 0.78]
    assert spread(values).deviation == np.std(values, ddof=1)
    assert spread(values).mean == pytest.approx(0.74666666, abs=1e-8)
    assert spread(values[:1]) == (0.71, None, 1)


def test_f1_of_a_species_has_the_interval_of_the_share_that_it_is_made_of() -> None:
    dataset = synthetic_dataset(num_test=12)
    result = synthetic_result(dataset, "baseline", recalls={"head": 0.9, "middle": 0.6, "tail": 0.4})
    for species in make_comparison([result], dataset, "baseline").best.test[0].species:
        found = f1_of_species(species)
        assert found is not None
        place = dataset.labels.index(species.label)
        true_N, named_N = (np.array(said) == place for said in (result.test.labels, result.test.predicted))
        both, either = int((true_N & named_N).sum()), int((true_N | named_N).sum())
        assert found.value == pytest.approx(2 * both / (true_N.sum() + named_N.sum()), abs=1e-12)
        shares = [2 * share / (1 + share) for share in wilson(both, either)]
        assert found.interval == pytest.approx(shares, abs=1e-12)
        assert found.interval[0] <= found.value <= found.interval[1]


def test_f1_of_a_species_covers_the_truth_in_about_95_of_100_simulated_test_sets() -> None:
    rng = np.random.default_rng(5)
    recall, num_images, wrongly_a_set = 0.7, 15, 4.0
    truth = 2 * recall * num_images / (num_images + recall * num_images + wrongly_a_set)
    covered = 0
    for _ in range(2000):
        hits, wrongly = int(rng.binomial(num_images, recall)), int(rng.poisson(wrongly_a_set))
        found = f1_of_species(
            SpeciesMetrics(
                label="x",
                group="tail",
                training_count=3,
                num_test_images=num_images,
                num_predicted=hits + wrongly,
                recall=Estimate(value=hits / num_images, interval=(0.0, 1.0)),
                precision=None,
                confused_with=(),
            )
        )
        assert found is not None
        covered += found.interval[0] <= truth <= found.interval[1]
    assert 0.92 <= covered / 2000 <= 0.99


def test_holm_is_what_is_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()


def test_every_difference_of_a_table_is_counted_in_the_correction() -> None:
    design = make_design(LABELS, THREE)
    one = paired_differences(drawn(1, 0.9), drawn(0, 0.3), design, num=500)
    pair = corrected([one, one])
    assert len(pair) == 2
    assert pair[0]["accuracy"].p == pytest.approx(10 * one["accuracy"].p)
    assert pair[0]["accuracy"].interval == one["accuracy"].interval
