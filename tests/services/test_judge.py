"""The gate: what harms is refused, what helps is not, and what cannot be known is said."""

from typing import Any

import pytest

from app.services.judge import Contender, Policy, Verdict, judge
from models.comparison import Measured
from tests.measured import ALL, LABELS, WORSE_TAIL, measured

HALF = [[1] * 5 + [0] * 5] * 6


def verdict(
    new: Measured | list[list[int]],
    old: Measured | list[list[int]],
    policy: Policy | None = None,
    **changed: Any,
) -> Verdict:
    candidate = measured(new, **changed) if isinstance(new, list) else new
    deployed = measured(old) if isinstance(old, list) else old
    return judge(Contender("2.0.0", candidate), Contender("1.0.0", deployed), policy or Policy())


def rules(found: Verdict) -> list[tuple[str, str]]:
    return [(each.rule, each.subject) for each in found.refusals]


def test_the_same_version_is_not_refused() -> None:
    found = verdict(ALL, ALL)
    assert not found.refused
    assert (found.candidate, found.deployed, found.basis, found.num_photos) == (
        "2.0.0",
        "1.0.0",
        "paired",
        60,
    )


def test_a_tail_that_falls_for_certain_is_refused() -> None:
    found = verdict(WORSE_TAIL, ALL)
    assert ("recall", "tail") in rules(found)
    (finding,) = [each for each in found.refusals if each.rule == "recall"]
    assert "Recall of the tail falls from 100.0% to 15.0%" in finding.message


def test_a_better_head_does_not_buy_a_worse_tail() -> None:
    old = [[0] * 10, [0] * 10, *ALL[2:]]
    found = verdict(WORSE_TAIL, old)
    overall = found.groups[0].recall
    assert overall is not None
    assert overall.change > 0
    assert ("recall", "tail") in rules(found)


def test_a_head_that_falls_is_not_refused_by_default_but_can_be() -> None:
    new = [[0] * 10, [0] * 10, *ALL[2:]]
    wide = Policy(max_ece_growth=1.0)
    assert rules(verdict(new, ALL, wide)) == []
    head = wide.model_copy(update={"recall_groups": ("head",)})
    assert rules(verdict(new, ALL, head)) == [("recall", "head")]


def test_a_fall_that_may_be_chance_is_a_warning() -> None:
    new = [*ALL[:5], [1] * 9 + [0]]
    found = verdict(new, ALL, Policy(max_ece_growth=1.0))
    assert rules(found) == []
    assert [(each.rule, each.subject) for each in found.warnings] == [
        ("recall", "middle"),
        ("recall", "tail"),
    ]
    assert "does not rule out a fall of more than 1." in found.warnings[1].message


def test_any_fall_of_a_protected_species_is_refused() -> None:
    new = [*ALL[:5], [1] * 9 + [0]]
    wide = Policy(max_ece_growth=1.0, protected=("f",))
    assert rules(verdict(new, ALL, wide)) == [("protected", "f")]
    assert rules(verdict(new, ALL, wide.model_copy(update={"protected": ("a", "b")}))) == []
    assert rules(verdict(ALL, new, wide)) == []


def test_a_protected_species_without_test_photos_is_a_warning() -> None:
    untested = [*ALL[:5], []]
    found = verdict(untested, untested, Policy(protected=("f",)))
    assert not found.refused
    assert ("protected", "f") in [(each.rule, each.subject) for each in found.warnings]


@pytest.mark.parametrize(("confidence", "refused"), [(0.881, False), (0.879, True)])
def test_a_calibration_error_may_grow_by_two_hundredths(confidence: float, refused: bool) -> None:
    found = verdict(measured(ALL, confidence=confidence), measured(ALL, confidence=0.9))
    expected = [("calibration", "head"), ("calibration", "middle"), ("calibration", "tail")]
    assert rules(found) == (expected if refused else [])


def test_a_species_that_disappears_is_refused_by_name() -> None:
    found = verdict(ALL, ALL, labels=("a", "b", "c", "d", "e", "g"))
    assert rules(found) == [("species", "f")]
    assert found.refusals[0].message == "f is not in its species list any more."


def test_a_species_that_is_new_is_welcome() -> None:
    new = measured([*ALL, [1] * 10], labels=(*LABELS, "g"), counts=(200, 150, 60, 40, 12, 5, 9))
    assert not verdict(new, ALL).refused


def test_what_cannot_be_compared_is_refused() -> None:
    found = verdict(ALL, ALL, first_photo=1000, data="other")
    assert rules(found) == [("comparable", "all")]
    assert "Only 0 of the 60 test photos" in found.refusals[0].message


def test_too_few_photos_in_common_judge_nothing() -> None:
    few = [[1] * 10, [1] * 10, [1] * 9, [], [], []]
    found = verdict(measured(few, data="other"), ALL)
    assert ("comparable", "all") in rules(found)


def test_a_group_without_test_photos_is_a_warning() -> None:
    untested = [*ALL[:4], [], []]
    found = verdict(untested, untested)
    assert not found.refused
    assert "No species of the tail has test photos" in found.warnings[-1].message


def test_old_bundles_are_judged_without_pairs_and_the_verdict_says_so() -> None:
    found = verdict(WORSE_TAIL, ALL, keep=False)
    assert found.basis == "unpaired"
    assert ("recall", "tail") in rules(found)
    assert "no predictions.csv" in found.notes[0]


def test_a_verdict_is_kept_as_json_and_read_back() -> None:
    found = verdict(WORSE_TAIL, ALL, Policy(protected=("f",)))
    assert Verdict.model_validate_json(found.model_dump_json()) == found


def test_nothing_is_proved_on_half_named_photos_either_way() -> None:
    assert not verdict(HALF, HALF).refused
