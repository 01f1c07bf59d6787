"""A prior is exchanged exactly, floored as the list says, and only what is named is excluded."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.checklist import Expected
from models.target_prior import (
    exchange_prior,
    log_prior_left,
    match_species,
    nearest_names,
    target_shares,
)
from models.taxonomy import Taxon

TAXA = tuple(
    Taxon(label=name.lower().replace(" ", "_"), scientific_name=name)
    for name in ("Noctua pronuba", "Noctua comes", "Apamea crenata", "Xestia c-nigrum", "Acronicta psi agg.")
)


def random_answers(seed: int) -> NDArray[np.float64]:
    logits = np.random.default_rng(seed).normal(0, 4, (50, len(TAXA)))
    shares = np.exp(logits)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def test_a_target_that_is_the_training_prior_changes_nothing() -> None:
    answers, prior = random_answers(0), np.array([0.5, 0.2, 0.15, 0.1, 0.05])
    np.testing.assert_allclose(exchange_prior(answers, np.log(prior), prior), answers, atol=1e-12)


def test_exchanged_probabilities_are_the_softmax_of_exchanged_logits() -> None:
    rng = np.random.default_rng(1)
    logits, prior, target = rng.normal(0, 3, (20, 5)), rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))

    def softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
        shares = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    moved = softmax(logits - 0.7 * np.log(prior) + np.log(target))
    np.testing.assert_allclose(
        exchange_prior(softmax(logits), np.log(prior), target, tau=0.7), moved, atol=1e-12
    )


def test_with_the_true_shares_it_is_bayes_rule() -> None:
    """Two species that look alike are told apart by how common they are, as often as that says."""
    rng = np.random.default_rng(2)
    target = np.array([0.95, 0.05])
    truth = rng.choice(2, 40_000, p=target)
    seen = rng.normal(truth, 1.0)
    likelihoods = np.exp(-0.5 * (seen[:, None] - np.arange(2)) ** 2)
    balanced = likelihoods / likelihoods.sum(axis=1, keepdims=True)
    moved = exchange_prior(balanced, np.zeros(2), target)
    assert moved[:, 1].mean() == pytest.approx(0.05, abs=0.005)
    assert (moved.argmax(axis=1) == truth).mean() > (balanced.argmax(axis=1) == truth).mean() + 0.2


def test_names_are_found_whatever_their_case_author_or_underscore() -> None:
    names = [
        "noctua  PRONUBA",
        "Noctua_comes",
        "Apamea crenata (Hufnagel, 1766)",
        "Xestia c-nigrum L.",
        "Apamea sp.",
    ]
    matched = match_species([Expected(name, row=n) for n, name in enumerate(names, 2)], TAXA)
    assert matched.place_M.tolist() == [0, 1, 2, 3]
    assert [each.name for each in matched.unmatched] == ["Apamea sp."]
    again = match_species([Expected("Noctua comes"), Expected("Noctua comes Hübner, 1813", weight=0.0)], TAXA)
    assert again.weight_M.tolist() == [1.0]
    assert len(again.twice) == 1


def test_the_nearest_names_help_with_slips_other_genera_and_aggregates() -> None:
    wrong = ["Noctua pronubae", "Agrotis c-nigrum", "Acronicta psi", "Zygaena filipendulae"]
    near = {each.name: each.nearest for each in nearest_names([Expected(name) for name in wrong], TAXA)}
    assert near["Noctua pronubae"][0] == "Noctua pronuba"
    assert near["Agrotis c-nigrum"] == ("Xestia c-nigrum",)
    assert near["Acronicta psi"] == ("Acronicta psi agg.",)
    assert near["Zygaena filipendulae"] == ()


def test_nothing_is_excluded_that_the_list_does_not_exclude() -> None:
    listed = [
        Expected("Noctua comes", weight=4.0),
        Expected("Apamea crenata", weight=0.001),
        Expected("Noctua pronuba", weight=0.0),
    ]
    matched = match_species(listed, TAXA)
    shares = target_shares(matched, None, unlisted=0.1)
    assert shares is not None
    assert shares[0] == 0, "a weight of 0 is a hard zero"
    floor = 0.1 * np.mean([4.0, 0.001])
    np.testing.assert_allclose(shares[1:] / shares[1], np.array([4.0, floor, floor, floor]) / 4.0)
    hard = target_shares(matched, None, unlisted=0.0)
    assert hard is not None
    assert np.flatnonzero(hard).tolist() == [1, 2]


def test_a_season_holds_in_its_weeks_and_expects_nothing_in_others() -> None:
    matched = match_species([Expected("Noctua comes", (1, 52, 53)), Expected("Apamea crenata", (20,))], TAXA)
    for week, expected in ((53, [1]), (1, [1]), (20, [2])):
        shares = target_shares(matched, week, unlisted=0.0)
        assert shares is not None
        assert np.flatnonzero(shares).tolist() == expected
    assert target_shares(matched, 30) is None
    everything = target_shares(matched, None, unlisted=0.0)
    assert everything is not None
    assert np.flatnonzero(everything).tolist() == [1, 2]


def test_what_is_excluded_stays_excluded_however_sure_the_model_is() -> None:
    certain = np.array([1.0, 0.0, 0.0])
    moved = exchange_prior(certain, np.zeros(3), np.array([0.0, 0.5, 0.5]))
    assert moved.tolist() == [0.0, 0.5, 0.5]


def test_the_card_says_what_is_taken_out() -> None:
    counts = (100, 1)
    assert np.ptp(log_prior_left("none", counts)) == 0
    assert np.ptp(log_prior_left("training", counts)) == pytest.approx(np.log(100))
    assert np.ptp(log_prior_left("partial", counts)) == pytest.approx(np.log(10))
