"""Methods stand in the order of what they did on validation photos, each group counting the same."""

import pytest

from models.groups import Group
from training.compare.progress import minutes_left, result_line, standing_line
from training.compare.record import Cost, Predictions, RunResult
from training.compare.selection import group_recalls, validation_standings
from training.recipes import make_recipe

GROUPS: list[Group] = ["head", "head", "middle", "tail"]


def said(*predicted: int) -> Predictions:
    """What was said of four photos of species 0 and one each of species 1, 2 and 3."""
    return Predictions(labels=(0, 0, 0, 0, 1, 2, 3), predicted=predicted, confidence=(0.5,) * 7)


def result(
    recipe: str, validation: Predictions, *, seed: int = 0, test: Predictions | None = None
) -> RunResult:
    return RunResult(
        recipe=recipe,
        backbone="resnet18",
        seed=seed,
        config=make_recipe("debug"),
        data_sha256="0",
        num_classes=4,
        temperature=1.0,
        validation=validation,
        test=test or validation,
        cost=Cost(
            images_per_s=1,
            minutes=1,
            finish_minutes=0,
            peak_memory_mib=1,
            num_parameters=1,
            shared_epochs=False,
        ),
        command="",
        commit="",
        hardware="",
        environment={},
    )


PERFECT = said(0, 0, 0, 0, 1, 2, 3)
BLIND_TO_TAIL = said(0, 0, 0, 0, 1, 2, 0)
HALF_HEAD = said(0, 0, 1, 1, 1, 2, 3)


def test_a_groups_recall_is_the_mean_over_its_species_not_over_its_photos() -> None:
    assert group_recalls(HALF_HEAD, GROUPS) == {"head": 0.75, "middle": 1.0, "tail": 1.0}


def test_a_group_without_photos_is_left_out_and_not_nought() -> None:
    only_head = Predictions(labels=(0, 1), predicted=(0, 0), confidence=(0.9, 0.9))
    assert group_recalls(only_head, GROUPS) == {"head": 0.5}
    assert result_line(result("a", only_head), GROUPS) == "validation recall head 50.0% middle none tail none"


def test_two_photos_of_a_head_species_cost_less_than_the_one_of_the_tail() -> None:
    standings = validation_standings([result("blind", BLIND_TO_TAIL), result("half", HALF_HEAD)], GROUPS)
    assert [standing.recipe for standing in standings] == ["half", "blind"]
    assert standings[0].mean == pytest.approx((0.75 + 1 + 1) / 3)


def test_seeds_are_averaged() -> None:
    both = [result("a", PERFECT), result("a", BLIND_TO_TAIL, seed=1), result("b", HALF_HEAD)]
    first, second = validation_standings(both, GROUPS)
    assert (first.recipe, second.recipe) == ("b", "a")
    assert second.num_seeds == 2
    assert second.recalls == {"head": 1.0, "middle": 1.0, "tail": 0.5}
    assert "83.3%  a on resnet18, 2 seeds: head 100.0% middle 100.0% tail 50.0%" in standing_line(second)


def test_the_test_split_has_no_say() -> None:
    results = [result("a", BLIND_TO_TAIL, test=PERFECT), result("b", PERFECT, test=BLIND_TO_TAIL)]
    assert validation_standings(results, GROUPS)[0].recipe == "b"


def test_before_any_run_has_ended_nothing_is_foretold() -> None:
    assert minutes_left([], [False], parallel=1) == 0
