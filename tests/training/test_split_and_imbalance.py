"""No session on two sides, and constructed tails that nest."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

import pytest

from training.data.imbalance import (
    Profile,
    cut_test_to_profile,
    cut_to_profile,
    profile_counts,
    training_counts,
)
from training.data.index import Sample
from training.data.split import split_by_folds, split_samples


def samples_of(species: int, photos: int, sessions: int) -> list[Sample]:
    return [
        Sample(
            f"{label}/{photo}.jpg", f"s{label}", label * photos + photo, session=f"night {photo % sessions}"
        )
        for label in range(species)
        for photo in range(photos)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_session_of_a_species_lies_on_one_side(seed: int) -> None:
    split = split_samples(samples_of(20, 12, 4), val_fraction=0.2, test_fraction=0.2, seed=seed)
    sides: dict[tuple[str, str], set[str]] = defaultdict(set)
    for sample in split:
        sides[(sample.label, sample.session)].add(sample.split)
    assert all(len(parts) == 1 for parts in sides.values()), f"seed {seed}"
    assert {sample.split for sample in split} == {"train", "val", "test"}


def test_every_species_keeps_a_training_photo_even_where_all_are_of_one_session() -> None:
    split = split_samples(samples_of(6, 3, 1), val_fraction=0.4, test_fraction=0.4, seed=0)
    assert all(count == 3 for count in training_counts(split, [f"s{i}" for i in range(6)]))


def test_a_split_that_came_with_the_data_is_kept() -> None:
    given = [Sample(f"{i}.jpg", "a", i, split="test" if i < 2 else "train") for i in range(6)]
    assert split_samples(given, val_fraction=0.3, test_fraction=0.3, seed=0) == tuple(given)


def test_the_same_seed_gives_the_same_split_in_any_order_of_rows() -> None:
    rows = samples_of(10, 9, 3)
    shuffled = random.Random(4).sample(rows, len(rows))
    first = split_samples(rows, val_fraction=0.2, test_fraction=0.2, seed=7)
    second = split_samples(shuffled, val_fraction=0.2, test_fraction=0.2, seed=7)
    assert {s.row: s.split for s in first} == {s.row: s.split for s in second}


def test_a_photo_judged_whose_session_was_trained_on_is_marked() -> None:
    rows = [Sample("a", "s", 1, fold="1", session="n"), Sample("b", "s", 2, fold="2", session="n")]
    judged, trained = split_by_folds(rows, {"1"}, val_fraction=0.0, seed=0)
    assert (judged.split, judged.leaky) == ("test", True)
    assert (trained.split, trained.leaky) == ("train", False)


def test_a_fold_nobody_is_in_is_refused_with_the_folds_there_are() -> None:
    with pytest.raises(ValueError, match="folds are 1, 2"):
        split_by_folds(
            [Sample("a", "s", 1, fold="1"), Sample("b", "s", 2, fold="2")], {"4"}, val_fraction=0, seed=0
        )


@pytest.mark.parametrize(
    ("classes", "max_count", "factor", "total"),
    [
        (10, 5000, 10, 20431),
        (10, 5000, 50, 13996),
        (10, 5000, 100, 12406),
        (10, 5000, 200, 11203),
        (100, 500, 10, 19573),
        (100, 500, 50, 12608),
        (100, 500, 100, 10847),
        (100, 500, 200, 9502),
    ],
)
def test_the_exponential_profile_has_the_published_totals_of_cifar(
    classes: int, max_count: int, factor: int, total: int
) -> None:
    assert (
        sum(profile_counts("exponential", num_classes=classes, max_count=max_count, factor=factor)) == total
    )


@pytest.mark.parametrize("profile", ["exponential", "step", "pareto"])
def test_a_profile_falls_from_its_greatest_count_by_its_factor(profile: Profile) -> None:
    counts = profile_counts(profile, num_classes=30, max_count=400, factor=40)
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (400, 10)


@pytest.mark.parametrize("profile", ["exponential", "step", "pareto"])
def test_a_longer_tail_is_a_subset_of_a_shorter_one(profile: Profile) -> None:
    def trained(factor: float) -> set[int]:
        cut = cut_to_profile(
            samples_of(20, 12, 5), profile=profile, max_count=8, factor=factor, val_fraction=0.25, seed=3
        )
        return {sample.row for sample in cut if sample.split == "train"}

    assert trained(8) < trained(4) < trained(1)


def test_another_seed_gives_another_tail() -> None:
    def counts(seed: int) -> tuple[int, ...]:
        cut = cut_to_profile(
            samples_of(20, 12, 5), profile="exponential", max_count=8, factor=8, val_fraction=0.25, seed=seed
        )
        return training_counts(cut, [f"s{i}" for i in range(20)])

    assert counts(0) == counts(0)
    assert counts(0) != counts(1)


def test_a_tail_is_cut_of_training_photos_alone_where_the_data_comes_with_a_split() -> None:
    parts = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    given = [
        replace(sample, split=part) for sample, part in zip(samples_of(6, 12, 12), parts * 6, strict=True)
    ]
    cut = cut_to_profile(given, profile="exponential", max_count=8, factor=4, val_fraction=0.5, seed=0)
    assert sorted(training_counts(cut, [f"s{i}" for i in range(6)]), reverse=True) == [8, 6, 4, 3, 2, 2]
    came = {sample.row: sample.split for sample in given}
    assert all(sample.split == came[sample.row] for sample in cut)
    assert sum(sample.split != "train" for sample in cut) == 24


def test_a_species_with_too_few_photos_for_the_profile_is_named() -> None:
    with pytest.raises(
        ValueError, match="has 4 photos to train on; the profile wants 8: choose a smaller max_count"
    ):
        cut_to_profile(samples_of(5, 4, 2), profile="step", max_count=8, factor=2, val_fraction=0, seed=0)


def counts_judged(samples: Iterable[Sample], species: int) -> list[int]:
    """Test photos of each species."""
    counts = Counter(sample.label for sample in samples if sample.split == "test")
    return [counts[f"s{label}"] for label in range(species)]


def long_tailed(species: int = 10) -> tuple[Sample, ...]:
    """Species in falling order of training photos, with twenty test photos each."""
    rows = samples_of(species, 40, 40)
    return tuple(
        replace(sample, split="test" if place < 20 else "train")
        for label in range(species)
        for place, sample in enumerate(rows[40 * label : 40 * label + 40 - label])
    )


@pytest.mark.parametrize("profile", ["exponential", "step", "pareto"])
def test_a_test_set_falls_with_the_training_counts_or_rises_against_them(profile: Profile) -> None:
    expected = profile_counts(profile, num_classes=10, max_count=20, factor=10)
    for from_tail in (False, True):
        cut = cut_test_to_profile(
            long_tailed(), profile=profile, max_count=20, factor=10, from_tail=from_tail, seed=0
        )
        assert counts_judged(cut, 10) == (expected[::-1] if from_tail else expected)
        assert [s for s in cut if s.split == "train"] == [s for s in long_tailed() if s.split == "train"]


def test_a_longer_tail_of_test_photos_is_a_subset_of_a_shorter_one_and_another_seed_another() -> None:
    def rows(factor: float, seed: int = 0) -> set[int]:
        cut = cut_test_to_profile(
            long_tailed(), profile="exponential", max_count=20, factor=factor, seed=seed
        )
        return {sample.row for sample in cut if sample.split == "test"}

    assert rows(20) < rows(10) < rows(2)
    assert rows(10) != rows(10, seed=1)


def test_a_species_with_too_few_test_photos_is_named() -> None:
    with pytest.raises(ValueError, match="s0 has 20 test photos; the profile wants 30"):
        cut_test_to_profile(long_tailed(), profile="step", max_count=30, factor=2, seed=0)
