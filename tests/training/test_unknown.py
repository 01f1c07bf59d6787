"""A rule keeps what it promises on photos that it never saw, is chosen without outsiders, and says what it judged."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.groups import Group
from models.unknown import UnknownRule, combined
from training.adding import try_adding
from training.inference import Answers
from training.unknown import ForRule, Scored, Trained, choose, fit_rule, score, span
from training.unknown_folds import EveryNth, FoldUnknown, judge_folds
from training.unknown_lines import unknown_lines
from training.unknown_report import Part, unknown_report

NUM_CLASSES, DIM = 12, 24
GROUPS: tuple[Group, ...] = ("head",) * 3 + ("middle",) * 4 + ("tail",) * 5
SPREAD = np.array([0.1] * 3 + [0.15] * 4 + [0.25] * 5)
"""Photos of rare species lie farther from their mean."""


class World:
    """Drawn embeddings: known classes and an unknown one within six dimensions, outsiders in the others."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.means = np.zeros((NUM_CLASSES + 1, DIM))
        self.means[:, :8] = self.rng.normal(size=(NUM_CLASSES + 1, 8))

    def known(self, each: int) -> tuple[Answers, NDArray[np.int64]]:
        labels = np.repeat(np.arange(NUM_CLASSES), each)
        return self.answers(self.means[labels], SPREAD[labels]), labels

    def left_out(self, num: int) -> Answers:
        return self.answers(np.repeat(self.means[-1:], num, axis=0), np.full(num, 0.15))

    def outsiders(self, num: int) -> Answers:
        elsewhere = np.zeros((num, DIM))
        elsewhere[:, 8:] = self.rng.normal(size=(num, DIM - 8))
        return self.answers(elsewhere, np.full(num, 0.1))

    def answers(self, at_ND: NDArray[np.float64], spread_N: NDArray[np.float64]) -> Answers:
        drawn = at_ND + self.rng.normal(size=at_ND.shape) * spread_N[:, None]
        unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        towards = self.means[:-1] / np.linalg.norm(self.means[:-1], axis=1, keepdims=True)
        return Answers(8 * unit @ towards.T, unit)


def fitted(world: World, each: int = 60) -> tuple[Trained, ForRule, UnknownRule]:
    train, train_labels = world.known(20)
    trained = span(train.embeddings_ND, train_labels, NUM_CLASSES)
    known, labels = world.known(each)
    seen = ForRule(
        score(trained, known), score(trained, known, without_N=labels), score(trained, world.outsiders(90))
    )
    return trained, seen, fit_rule(seen, GROUPS, fitted_on="drawn photos")


@pytest.mark.parametrize("seed", range(3))
def test_5_in_100_known_photos_of_every_group_are_rejected(seed: int) -> None:
    world = World(seed)
    trained, _, rule = fitted(world, each=200)
    known, labels = world.known(300)
    report = unknown_report([Part(rule, score(trained, known), labels, {})], GROUPS)
    assert [group.group for group in report.known] == ["all", "head", "middle", "tail"]
    for group in report.known:
        assert group.false_rejection.interval[0] - 0.02 < 0.05 < group.false_rejection.interval[1] + 0.02
        assert sum(group.verdicts.values()) == pytest.approx(1)


def test_one_threshold_for_all_would_throw_the_tail_away() -> None:
    _, seen, rule = fitted(World(0), each=200)
    value, named = combined(rule.parts, seen.known.scores), np.array(GROUPS)[seen.known.named_N]
    shared = np.quantile(value, 0.95)
    assert (value[named == "tail"] > shared).mean() > 0.09
    assert (value[named == "tail"] > rule.threshold("tail")).mean() == pytest.approx(0.05, abs=0.01)


def test_unknown_species_and_things_are_refused_and_told_apart() -> None:
    world = World(1)
    trained, _, rule = fitted(world)
    known, labels = world.known(60)
    outsiders = {
        "left out": score(trained, world.left_out(80)),
        "things": score(trained, world.outsiders(80)),
    }
    report = unknown_report([Part(rule, score(trained, known), labels, outsiders)], GROUPS)
    left_out, things = report.outsiders
    assert left_out.refused.value > 0.7
    assert left_out.verdicts["unknown_moth"] > 0.5 > left_out.verdicts["not_a_moth"]
    assert things.verdicts["not_a_moth"] > 0.5
    best = {quality.score: quality.auroc.value for quality in things.groups[0].scores}
    assert best["mahalanobis"] > 0.98
    lines = "\n".join(unknown_lines(report))
    assert "called unknown" in lines
    assert "things: 80 photos, refused" in lines


def test_the_best_score_is_chosen_and_two_only_for_a_clear_gain() -> None:
    rng = np.random.default_rng(0)

    def drawn(shift: float) -> Scored:
        noise, named = rng.normal(size=(3, 400)), np.zeros(400, dtype=np.int64)
        scores = {"max_logit": noise[0] + shift, "energy": noise[1], "mahalanobis": noise[2] + 3 * shift}
        return Scored(scores, np.zeros(400), named)  # type: ignore[arg-type]

    order = list(choose(ForRule(drawn(0), drawn(1), drawn(1))))
    assert order[0] == "mahalanobis"
    assert order[-1] == "energy"


def test_a_group_of_few_photos_shares_the_threshold_of_all() -> None:
    world = World(2)
    _, seen, _ = fitted(world)
    few = np.flatnonzero((seen.known.named_N >= 3) | (np.arange(len(seen.known.named_N)) < 18))
    known = Scored(
        {name: values[few] for name, values in seen.known.scores.items()},
        seen.known.foreign_N[few],
        seen.known.named_N[few],
    )
    rule = fit_rule(ForRule(known, seen.pretended, seen.drawn), GROUPS, fitted_on="x")
    assert [each.shared for each in rule.thresholds] == [True, False, False]
    assert rule.thresholds[0].num_images == 18


def test_each_fold_is_judged_by_a_rule_of_the_others() -> None:
    world = World(4)
    folds = []
    for _ in range(3):
        trained, seen, _ = fitted(world)
        labels = np.repeat(np.arange(NUM_CLASSES), 60)
        tried = try_adding(trained, *world.known(4))
        folds.append(FoldUnknown(seen, labels, {"things": score(trained, world.outsiders(20))}, tried))
    rule, report = judge_folds(folds, GROUPS, fitted_on="folds")
    assert rule.num_images == 3 * 720
    assert report.num_calibration_images == 2 * 720
    assert report.outsiders[0].num_images == 60
    assert report.known[0].num_images == 3 * 720


@pytest.mark.parametrize(("photos", "classes"), [(2, 2), (3, 2), (12, 12), (40, 2)])
def test_a_space_of_one_photo_a_species_is_a_space(photos: int, classes: int) -> None:
    rng = np.random.default_rng(5)
    embeddings = rng.normal(size=(photos, 16))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    trained = span(embeddings, np.arange(photos) % classes, classes)
    found = score(trained, Answers(rng.normal(size=(5, classes)), embeddings[[0, 1, 0, 1, 0]]))
    assert all(np.isfinite(values).all() for values in (*found.scores.values(), found.foreign_N))
    with pytest.raises(ValueError, match="every class"):
        span(embeddings, np.zeros(photos, dtype=np.int64), classes)


def test_outsiders_are_shared_among_folds_so_that_each_is_judged_once() -> None:
    photos = [np.full((1, 1, 3), number, np.uint8) for number in range(7)]
    parts = [EveryNth(photos, number, 3) for number in range(3)]
    seen = [int(part[place][0, 0, 0]) for part in parts for place in range(len(part))]
    assert sorted(seen) == list(range(7))


def test_nothing_known_cannot_be_judged() -> None:
    trained, _, rule = fitted(World(0))
    nobody = score(trained, Answers(np.zeros((0, NUM_CLASSES)), np.zeros((0, DIM))))
    with pytest.raises(ValueError, match="no photo of a known species"):
        unknown_report([Part(rule, nobody, np.zeros(0, dtype=np.int64), {})], GROUPS)
