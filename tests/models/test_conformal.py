"""Prediction sets keep their promise, and say so where they cannot be small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.conformal import ConformalTable, SetRule, SetScore, conformal_quantile, power_prior
from models.decision import prediction_set, top_k
from models.groups import Group
from training.conformal import ALPHAS, fit_table, fit_tables

COUNTS = (200, 80, 30, 12, 5, 2)
NUM_CLASSES = len(COUNTS)
GROUP_OF: tuple[Group, ...] = ("head", "head", "middle", "middle", "tail", "tail")
PRIOR = power_prior(COUNTS, 1.0)
SCORES: tuple[SetScore, ...] = ("plain", "prevalence")


def _photos(
    rng: np.random.Generator, num: int, prior: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """True posteriors [N, C] of noisy one-hot photos, and their labels drawn from the prior."""
    labels = rng.choice(NUM_CLASSES, num, p=prior)
    seen = rng.normal(size=(num, NUM_CLASSES))
    seen[np.arange(num), labels] += 2.0
    weight = prior * np.exp(2.0 * seen)
    return weight / weight.sum(axis=1, keepdims=True), labels


def _table(score: SetScore, num: int, *, power: float = 1.0, seed: int = 0) -> ConformalTable:
    chances, labels = _photos(np.random.default_rng(seed), num, PRIOR)
    return fit_table(chances, labels, COUNTS, score=score, prior_power=power, fitted_on="drawn photos")


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.2])
def test_the_true_species_is_in_the_set_as_often_as_promised(score: SetScore, alpha: float) -> None:
    """Over many draws of 100 calibration photos; a score without ties covers at most 1 / (n + 1) more."""
    rng, covered = np.random.default_rng(7), []
    for _ in range(150):
        chances, labels = _photos(rng, 100, PRIOR)
        table = fit_table(chances, labels, COUNTS, score=score, prior_power=1.0, fitted_on="drawn photos")
        quantile = table.quantile(1 - alpha)
        chances, labels = _photos(rng, 100, PRIOR)
        scaled = chances if score == "plain" else chances / PRIOR
        assert quantile is not None
        covered.append((1 - scaled[np.arange(100), labels] <= quantile).mean())
    error = 3 * np.std(covered) / np.sqrt(len(covered))
    assert 1 - alpha - error <= np.mean(covered) <= 1 - alpha + 1 / 101 + error


def test_the_quantile_is_the_one_that_makes_the_promise_hold_for_few_photos() -> None:
    scores = np.arange(1.0, 100.0)  # 99 photos: the 90th of them, not the 89th or 89.1
    assert conformal_quantile(scores, 0.1) == 90.0
    assert conformal_quantile(scores, 0.01) == 99.0
    assert conformal_quantile(scores[:98], 0.01) is None
    assert conformal_quantile(scores[:0], 0.5) is None


@pytest.mark.parametrize("score", SCORES)
def test_asking_for_everything_gives_everything(score: SetScore) -> None:
    rule = SetRule(_table(score, 500), COUNTS)
    certain = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert len(prediction_set(certain, 0.99, rule)) < NUM_CLASSES
    assert prediction_set(certain, 1.0, rule) == list(range(NUM_CLASSES))
    assert prediction_set(certain, 0.995, rule) == list(range(NUM_CLASSES))


def test_too_few_photos_give_the_whole_list_and_say_why() -> None:
    few = _table("plain", 30)
    assert few.quantiles[ALPHAS.index(0.03)] is None
    assert few.quantiles[ALPHAS.index(0.04)] is not None
    assert len(prediction_set(np.eye(NUM_CLASSES)[0], 0.97, SetRule(few, COUNTS))) == NUM_CLASSES
    assert "cannot promise 97% after calibration on 30 photos" in few.sentence(0.97)
    assert few.sentence(0.9).startswith("In 90% of photos")


@pytest.mark.parametrize("score", SCORES)
@settings(max_examples=30)
@given(seed=st.integers(0, 1000), one=st.floats(0.5, 1), other=st.floats(0.5, 1))
def test_a_greater_promise_never_loses_a_species(
    score: SetScore, seed: int, one: float, other: float
) -> None:
    rule = SetRule(_table(score, 60), COUNTS)
    (chances,), _ = _photos(np.random.default_rng(seed), 1, PRIOR)
    small, large = (prediction_set(chances, coverage, rule) for coverage in sorted((one, other)))
    assert set(small) <= set(large)
    assert small[0] == top_k(chances, 1)[0]
    assert small == [index for index in top_k(chances, NUM_CLASSES) if index in small]


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from((0.8, 0.9, 0.95, 0.99)))
def test_with_a_uniform_prior_both_scores_give_the_same_sets(seed: int, coverage: float) -> None:
    rng = np.random.default_rng(seed)
    chances, labels = _photos(rng, 150, np.full(NUM_CLASSES, 1 / NUM_CLASSES))
    _, adjusted, plain = fit_tables(
        chances, labels, COUNTS, groups=GROUP_OF, logit_prior="none", fitted_on="drawn photos"
    )
    assert (adjusted.score, plain.score) == ("prevalence", "plain")
    asked, _ = _photos(rng, 20, np.full(NUM_CLASSES, 1 / NUM_CLASSES))
    ours, theirs = (SetRule(table, COUNTS).members(asked, coverage) for table in (adjusted, plain))
    np.testing.assert_array_equal(ours, theirs)
    assert adjusted.quantiles == pytest.approx(
        [None if quantile is None else 1 - NUM_CLASSES * (1 - quantile) for quantile in plain.quantiles]
    )


def test_the_prevalence_adjusted_score_covers_rare_species_better_at_the_same_promise() -> None:
    chances, labels = _photos(np.random.default_rng(1), 10_000, PRIOR)
    mean_over_species = {}
    for score in SCORES:
        rule = SetRule(_table(score, 5000), COUNTS)
        inside = rule.members(chances, 0.9)[np.arange(len(labels)), labels]
        assert inside.mean() > 0.88
        mean_over_species[score] = np.mean([inside[labels == kind].mean() for kind in range(NUM_CLASSES)])
    assert mean_over_species["prevalence"] > mean_over_species["plain"] + 0.05


@pytest.mark.parametrize(
    ("alphas", "quantiles", "fault"),
    [
        ((0.1, 0.2), (0.5,), "2 alphas but 1 quantiles"),
        ((0.2, 0.1), (0.5, 0.4), "alphas must rise"),
        ((0.1, 0.2), (0.5, None), "must not rise"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(
    alphas: tuple[float, ...], quantiles: tuple[float | None, ...], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        ConformalTable(score="plain", fitted_on="x", num_images=9, alphas=alphas, quantiles=quantiles)


def _uneven(rng: np.random.Generator, num: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Uniformly drawn species, of which those of the tail are far harder to see."""
    labels = rng.integers(0, NUM_CLASSES, num)
    seen = rng.normal(size=(num, NUM_CLASSES))
    seen[np.arange(num), labels] += np.array([4.0, 4.0, 3.0, 3.0, 1.2, 1.2])[labels]
    weight = np.exp(1.5 * seen)
    return weight / weight.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("alpha", [0.1, 0.2])
def test_with_a_limit_for_each_group_the_tail_keeps_the_promise_that_one_limit_breaks(alpha: float) -> None:
    """Over many draws of 90 calibration photos, 30 of a group: at most 1 / 31 too much in the mean."""
    rng = np.random.default_rng(3)
    covered: dict[str, list[list[float]]] = {"group": [], "prevalence": []}
    for _ in range(150):
        photos = _uneven(rng, 90)
        asked, labels = _uneven(rng, 300)
        for table in fit_tables(*photos, COUNTS, groups=GROUP_OF, logit_prior="none", fitted_on="drawn")[:2]:
            inside = SetRule(table, COUNTS, GROUP_OF).members(asked, 1 - alpha)
            hit = inside[np.arange(300), labels]
            covered[table.score].append(
                [hit[np.isin(labels, pair)].mean() for pair in ((0, 1), (2, 3), (4, 5))]
            )
    by_group, by_all = (np.mean(covered[score], axis=0) for score in ("group", "prevalence"))
    assert (by_group >= 1 - alpha - 0.015).all()
    assert by_all[2] < 1 - alpha - 0.04
    assert by_group[2] == pytest.approx(1 - alpha, abs=0.04)


def test_a_group_with_too_few_photos_has_the_widest_limit_and_none_where_all_have_too_few() -> None:
    chances, labels = _uneven(np.random.default_rng(5), 400)
    kept = np.flatnonzero((labels < 4) | (np.cumsum(labels >= 4) <= 5))  # five photos of the tail
    table, *_ = fit_tables(
        chances[kept], labels[kept], COUNTS, groups=GROUP_OF, logit_prior="none", fitted_on="drawn"
    )
    assert set(table.group_quantiles(0.9)) == {"head", "middle"}
    assert "that holds for photos of head and middle species by themselves" in table.sentence(0.9)
    rule = SetRule(table, COUNTS, GROUP_OF)
    asked, _ = _uneven(np.random.default_rng(6), 500)
    widest = max(table.quantile(0.9) or -np.inf, *table.group_quantiles(0.9).values())
    inside = rule.members(asked, 0.9)
    scores = 1 - asked * NUM_CLASSES
    best = asked.argmax(axis=1)[:, None] == np.arange(NUM_CLASSES)
    assert (inside[:, 4:] == ((scores <= widest) | best)[:, 4:]).all()
    few, *_ = fit_tables(
        chances[:12], labels[:12], COUNTS, groups=GROUP_OF, logit_prior="none", fitted_on="x"
    )
    assert few.group_quantiles(0.9) == {}
    assert "by themselves" not in few.sentence(0.9)
    one = ConformalTable(**few.model_dump() | {"score": "prevalence", "groups": ()})
    same = SetRule(one, COUNTS).members(asked, 0.9)
    assert (SetRule(few, COUNTS, GROUP_OF).members(asked, 0.9) == same).all()


def test_a_table_by_group_needs_the_groups_and_no_other_table_has_them() -> None:
    chances, labels = _uneven(np.random.default_rng(5), 100)
    table, plain, _ = fit_tables(chances, labels, COUNTS, groups=GROUP_OF, logit_prior="none", fitted_on="x")
    with pytest.raises(ValueError, match="6 species but 0 groups"):
        SetRule(table, COUNTS)
    with pytest.raises(ValueError, match="groups go with the score"):
        ConformalTable(**plain.model_dump() | {"groups": table.groups})
    with pytest.raises(ValueError, match="groups go with the score"):
        ConformalTable(**table.model_dump() | {"groups": ()})
