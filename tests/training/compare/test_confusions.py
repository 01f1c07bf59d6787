"""Matrices of families and species are counted from the pairs that there are, however many species could be paired."""

import tracemalloc

import numpy as np

from models.resampling import make_design
from tests.training.compare.synthetic import synthetic_dataset, synthetic_result
from training.compare.confusions import family_tables
from training.compare.methods import Comparison, Method
from training.compare.page import Table
from training.compare.record import Predictions
from training.data.prepared import Dataset


def said(labels: list[int], predicted: list[int]) -> Predictions:
    return Predictions(
        labels=tuple(labels), predicted=tuple(predicted), confidence=tuple(0.5 for _ in labels)
    )


def tables_of(dataset: Dataset, *seeds: tuple[list[int], list[int]]) -> tuple[Table, ...]:
    """Tables of a method that said this of test photos, labels and predictions of each of its seeds."""
    other = synthetic_result(synthetic_dataset(), "baseline")
    runs = tuple(
        other.model_copy(update={"seed": seed, "test": said(*one)}) for seed, one in enumerate(seeds)
    )
    labels_N = np.array(runs[0].test.labels)
    design = make_design(labels_N, dataset.groups)
    method = Method("baseline", runs, (), (), 0.0, {})
    return family_tables(Comparison(dataset, design, (method,), (), "baseline"), method)


def words_of(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_families_and_the_species_within_one_are_counted_over_all_seeds() -> None:
    dataset = synthetic_dataset(counts=(9, 8, 7, 6, 5, 4), num_test=2)  # families in turn: S, N, E, S, N, E
    labels = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    families, saturnids = tables_of(
        dataset,
        (labels, [0, 3, 1, 1, 2, 2, 3, 1, 4, 0, 5, 5]),
        (labels, [0, 3, 1, 2, 2, 2, 0, 3, 4, 4, 5, 5]),
    )
    assert words_of(families) == [
        ["Erebidae", "4", "100", "", ""],
        ["Noctuidae", "4", "12", "75", "12"],
        ["Saturniidae", "4", "", "12", "88"],
    ]
    assert saturnids.caption == "Saturniidae: share of a row's test photos"
    assert words_of(saturnids) == [["species_000", "2", "50", "50"], ["species_003", "2", "25", "50"]]


def test_many_species_take_no_room_for_the_pairs_that_nobody_confused() -> None:
    dataset = synthetic_dataset(counts=[1] * 3000, num_test=1)
    labels = list(range(3000))
    tracemalloc.start()
    try:
        tables = tables_of(dataset, (labels, [*labels[3:], *labels[:3]]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(tables) == 4
    assert peak < 3000**2  # a byte for each pair of species
