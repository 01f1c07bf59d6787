"""Head, middle and tail: one definition, for any species list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.groups import DEFAULT_RULE, GROUPS, GroupRule, choose_rule

counts = st.lists(st.integers(1, 500), min_size=1, max_size=60)
RANK = {"tail": 0, "middle": 1, "head": 2}


@given(counts)
def test_more_images_never_mean_a_lower_group(training_counts: list[int]) -> None:
    rule = choose_rule(training_counts)
    ordered = [RANK[rule.group_of(count)] for count in sorted(training_counts)]
    assert ordered == sorted(ordered)


@given(counts)
def test_the_default_cut_offs_stay_where_they_leave_no_group_empty(training_counts: list[int]) -> None:
    complete = set(DEFAULT_RULE.assign(training_counts)) == set(GROUPS)
    assert (choose_rule(training_counts) == DEFAULT_RULE) == complete


@given(st.lists(st.integers(1, 500), min_size=3, max_size=60).filter(lambda found: len(set(found)) >= 3))
def test_three_distinct_counts_fill_three_groups(training_counts: list[int]) -> None:
    assert set(choose_rule(training_counts).assign(training_counts)) == set(GROUPS)


def test_terciles_are_as_even_as_the_counts_allow() -> None:
    training_counts = [9] * 10 + [5] * 10 + [2] * 10
    groups = choose_rule(training_counts).assign(training_counts)
    assert [groups.count(group) for group in GROUPS] == [10, 10, 10]


@pytest.mark.parametrize(("training_counts", "present"), [([4, 4], {"middle"}), ([4, 9], {"head", "tail"})])
def test_fewer_than_three_distinct_counts_leave_a_group_empty(
    training_counts: list[int], present: set[str]
) -> None:
    assert set(choose_rule(training_counts).assign(training_counts)) == present


def test_an_empty_species_list_has_no_rule() -> None:
    with pytest.raises(ValueError, match="at least one species"):
        choose_rule([])


def test_cut_offs_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="must be below"):
        GroupRule(kind="cutoffs", head_min=10, tail_max=10)


def test_the_sentence_says_that_terciles_are_this_lists_own() -> None:
    assert "terciles of this species list" in choose_rule([1, 2, 3]).sentence()
