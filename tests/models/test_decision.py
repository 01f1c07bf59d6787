"""What an answer commits to, for any distribution over any lineage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from models.decision import RollUp, combine_photos, prediction_set, probabilities, top_k
from models.taxonomy import Taxon

TAXA = [
    Taxon(label="a1", scientific_name="Alba prima", taxon_rank="species", genus="Alba", family="Albidae"),
    Taxon(label="a2", scientific_name="Alba altera", taxon_rank="species", genus="Alba", family="Albidae"),
    Taxon(label="b1", scientific_name="Bela una", taxon_rank="species", genus="Bela", family="Albidae"),
    Taxon(label="c1", scientific_name="Cana sola", taxon_rank="species", genus="Cana", family="Canidae"),
    Taxon(label="d1", scientific_name="Dara agg.", taxon_rank="aggregate", genus="Dara", family="Canidae"),
    Taxon(label="g1", scientific_name="Gala", taxon_rank="genus", genus="Gala", family="Canidae"),
    Taxon(label="bare"),
]
NUM_CLASSES = len(TAXA)
RULE = RollUp(TAXA)
logits = arrays(np.float64, NUM_CLASSES, elements=st.floats(-12, 12))
reliabilities = st.floats(0.5, 0.99)


def _distribution(**shares: float) -> NDArray[np.float64]:
    values = np.array([shares.get(taxon.label, 0.0) for taxon in TAXA])
    normalised: NDArray[np.float64] = values / values.sum()
    return normalised


@given(logits, reliabilities)
def test_a_decision_stays_on_the_lineage_of_the_best_label(drawn: NDArray[np.float64], asked: float) -> None:
    distribution = probabilities(drawn)
    best = TAXA[int(distribution.argmax())]
    decision = RULE.decide(distribution, asked)
    if decision.taxon is None:
        assert decision.kind == "unknown"
    else:
        assert decision.taxon.scientific_name in (best.scientific_name, best.genus, best.family)


@given(logits, reliabilities)
def test_what_is_decided_reaches_the_asked_reliability(drawn: NDArray[np.float64], asked: float) -> None:
    decision = RULE.decide(probabilities(drawn), asked)
    if decision.probability is not None:
        assert asked <= decision.probability <= 1.0


@given(logits, reliabilities)
def test_the_probability_is_the_sum_over_the_taxons_own_members(
    drawn: NDArray[np.float64], asked: float
) -> None:
    distribution = probabilities(drawn)
    decision = RULE.decide(distribution, asked)
    if decision.kind in ("genus", "family") and decision.taxon not in TAXA:
        assert decision.taxon is not None
        name = decision.taxon.scientific_name
        members = [name == (taxon.genus if decision.kind == "genus" else taxon.family) for taxon in TAXA]
        assert decision.probability == pytest.approx(distribution[members].sum())


@given(logits, reliabilities, reliabilities)
def test_asking_for_more_never_gives_a_finer_rank(
    drawn: NDArray[np.float64], one: float, other: float
) -> None:
    ranks = {"species": 0, "genus": 1, "family": 2, "unknown": 3}
    distribution = probabilities(drawn)
    lenient, strict = sorted((one, other))
    assert ranks[RULE.decide(distribution, lenient).kind] <= ranks[RULE.decide(distribution, strict).kind]


def test_the_lowest_sufficient_rank_wins() -> None:
    assert RULE.decide(_distribution(a1=0.95, a2=0.05), 0.9).kind == "species"
    genus = RULE.decide(_distribution(a1=0.6, a2=0.35, c1=0.05), 0.9)
    assert (genus.kind, genus.taxon and genus.taxon.scientific_name) == ("genus", "Alba")
    family = RULE.decide(_distribution(a1=0.5, b1=0.45, c1=0.05), 0.9)
    assert (family.kind, family.taxon and family.taxon.scientific_name) == ("family", "Albidae")
    assert RULE.decide(_distribution(a1=0.4, c1=0.35, bare=0.25), 0.9).kind == "unknown"


def test_another_lineage_never_answers_for_the_best_label() -> None:
    """Cana and its family hold most of the mass, but the most probable label is an Alba."""
    decision = RULE.decide(_distribution(a1=0.4, c1=0.3, d1=0.3), 0.55)
    assert decision.kind == "unknown"


def test_an_aggregate_is_named_as_the_species_it_stands_for() -> None:
    decision = RULE.decide(_distribution(d1=1.0), 0.9)
    assert (decision.kind, decision.taxon) == ("species", TAXA[4])


def test_a_label_that_is_a_genus_is_a_genus() -> None:
    assert RULE.decide(_distribution(g1=1.0), 0.9).kind == "genus"


def test_a_label_that_is_a_genus_rolls_up_to_it_with_the_species_that_the_list_has_of_it() -> None:
    una = Taxon(label="g2", scientific_name="Gala una", taxon_rank="species", genus="Gala", family="Canidae")
    gala = next(taxon for taxon in TAXA if taxon.label == "g1")
    decided = RollUp([gala, una, TAXA[0]]).decide(np.array([0.5, 0.45, 0.05]), 0.9)
    assert (decided.kind, decided.taxon) == ("genus", gala)
    assert decided.probability == pytest.approx(0.95)
    assert RollUp([gala, una, TAXA[0]]).decide(np.array([0.5, 0.3, 0.2]), 0.9).kind == "unknown"


def test_a_label_without_a_taxonomy_is_named_by_its_label_or_not_at_all() -> None:
    named = RULE.decide(_distribution(bare=1.0), 0.9)
    assert (named.kind, named.taxon) == ("species", TAXA[6])
    assert RULE.decide(_distribution(bare=0.6, a1=0.4), 0.9).kind == "unknown"


def test_the_reason_never_claims_certainty() -> None:
    assert "over 99% probable" in RULE.decide(_distribution(a1=0.9999, a2=0.0001), 0.9).reason


def test_the_reason_never_rounds_up_to_what_was_asked() -> None:
    reason = RULE.decide(_distribution(a1=0.896, bare=0.104), 0.9).reason
    assert "is 89% probable" in reason


@given(logits, st.floats(0.05, 20))
def test_probabilities_sum_to_one_and_keep_the_order(drawn: NDArray[np.float64], temperature: float) -> None:
    distribution = probabilities(drawn, temperature)
    assert distribution.sum() == pytest.approx(1.0)
    assert drawn[int(distribution.argmax())] == pytest.approx(drawn.max())


@pytest.mark.parametrize("bad", [[np.nan, 0.0], [np.inf, 0.0]])
def test_logits_that_are_not_finite_are_an_error(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        probabilities(bad)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_must_be_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        probabilities([0.0, 1.0], temperature)


@given(logits, st.floats(0.5, 0.99))
def test_the_prediction_set_is_the_smallest_that_reaches_its_coverage(
    drawn: NDArray[np.float64], coverage: float
) -> None:
    distribution = probabilities(drawn)
    chosen = prediction_set(distribution, coverage)
    assert distribution[chosen].sum() >= coverage - 1e-9
    assert distribution[chosen[:-1]].sum() < coverage
    assert chosen == top_k(distribution, len(chosen))


def test_a_coverage_of_everything_is_every_label() -> None:
    assert len(prediction_set(probabilities(np.zeros(NUM_CLASSES)), 1.0)) == NUM_CLASSES


@given(st.lists(logits, min_size=2, max_size=5))
def test_the_order_of_the_photos_does_not_matter(drawn: list[NDArray[np.float64]]) -> None:
    each = np.stack([probabilities(one) for one in drawn])
    assert combine_photos(each) == pytest.approx(combine_photos(each[::-1]))


@given(logits)
def test_the_same_photo_twice_says_what_it_says_once(drawn: NDArray[np.float64]) -> None:
    one = probabilities(drawn)
    assert combine_photos([one, one]) == pytest.approx(one, abs=1e-9)


def test_a_photo_that_rules_a_species_out_counts() -> None:
    combined = combine_photos([[0.6, 0.4], [1e-9, 1.0]])
    assert combined.argmax() == 1


def test_the_best_of_thousands_are_those_of_a_whole_sort_ties_included() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        distribution = rng.integers(0, 40, 3000) / 1000
        expected = np.argsort(-distribution, kind="stable")[:50].tolist()
        assert top_k(distribution, 50) == expected
