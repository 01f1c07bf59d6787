"""A list that rules out what a photo shows makes no other species sure; one that only doubts it is obeyed."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.checklist import Expected
from models.decision import RollUp
from models.exclusion import contradicts, decide_against_list, ruled_out
from models.target_prior import exchange_prior, match_species, target_shares
from models.taxonomy import Taxon

TAXA = (
    Taxon(label="pronuba", scientific_name="Noctua pronuba", genus="Noctua", family="Noctuidae"),
    Taxon(label="comes", scientific_name="Noctua comes", genus="Noctua", family="Noctuidae"),
    Taxon(label="gamma", scientific_name="Autographa gamma", genus="Autographa", family="Noctuidae"),
    Taxon(label="tau", scientific_name="Aglia tau", genus="Aglia", family="Saturniidae"),
    Taxon(label="lone"),
)
PLAIN = np.array([0.96, 0.02, 0.01, 0.005, 0.005])


def target(*names: str, unlisted: float = 0.0, weights: dict[str, float] | None = None) -> NDArray[Any]:
    species = [Expected(name, weight=(weights or {}).get(name, 1.0)) for name in names]
    found = target_shares(match_species(species, TAXA), None, unlisted)
    assert found is not None
    return found


def excluded(*names: str) -> NDArray[Any]:
    return ruled_out(target(*names))


def test_what_a_list_leaves_out_is_ruled_out_at_weight_0_and_at_a_weight_that_is_as_good_as_0() -> None:
    assert ruled_out(target("comes")).tolist() == [True, False, True, True, True]
    assert ruled_out(target("comes", unlisted=1e-9)).tolist() == [True, False, True, True, True]
    assert not ruled_out(target("comes", unlisted=0.01)).any()


def test_a_species_that_is_listed_as_never_seen_is_ruled_out_too() -> None:
    found = ruled_out(target("comes", "pronuba", unlisted=0.01, weights={"pronuba": 0.0}))
    assert found.tolist() == [True, False, False, False, False]


def test_a_plain_photo_of_what_is_ruled_out_contradicts_the_list_and_a_doubtful_one_does_not() -> None:
    out = excluded("comes")
    doubtful = np.array([0.4, 0.6, 0.0, 0.0, 0.0])
    for before, found in ((PLAIN, True), (doubtful, False)):
        assert contradicts(before, exchange_prior(before, np.zeros(5), target("comes")), out) is found


def test_a_photo_so_plain_that_it_overrules_a_tiny_weight_contradicts_nothing() -> None:
    before = np.array([1 - 4e-9, 1e-9, 1e-9, 1e-9, 1e-9])
    shares = target("comes", unlisted=1e-4)
    after = exchange_prior(before, np.zeros(5), shares)
    assert after.argmax() == 0
    assert not contradicts(before, after, ruled_out(shares))


def test_the_genus_that_the_photo_shows_is_named_where_the_list_expects_a_species_of_it() -> None:
    decided = decide_against_list(RollUp(TAXA), PLAIN, excluded("comes", "tau"), 0.9)
    assert decided.taxon is not None
    assert (decided.kind, decided.taxon.label) == ("genus", "Noctua")
    assert decided.probability == pytest.approx(0.98)
    assert (
        "rules out what the photo shows (most likely Noctua pronuba, 96% without the list" in decided.reason
    )


def test_a_genus_of_which_nothing_is_expected_is_passed_over_for_its_family() -> None:
    decided = decide_against_list(RollUp(TAXA), PLAIN, excluded("gamma"), 0.9)
    assert decided.kind == "family"
    assert decided.probability == pytest.approx(0.99)


@pytest.mark.parametrize("reliability", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("listed", ["comes", "gamma", "tau", "lone"])
@pytest.mark.parametrize("shown", [0, 4])
def test_no_species_is_ever_decided_against_a_list(shown: int, listed: str, reliability: float) -> None:
    before = np.full(5, 0.001)
    before[shown] = 0.996
    out = excluded(listed)
    if out[shown]:
        decided = decide_against_list(RollUp(TAXA), before, out, reliability)
        assert decided.kind in ("genus", "family", "unknown")


def test_where_nothing_above_is_expected_nothing_is_named() -> None:
    decided = decide_against_list(RollUp(TAXA), PLAIN, excluded("tau"), 0.9)
    assert (decided.kind, decided.taxon, decided.probability) == ("unknown", None, None)
    assert "so no species is named" in decided.reason
