"""Every figure against scikit-learn or a count by hand."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score
from sklearn.metrics import confusion_matrix as reference_matrix

from models import metrics
from models.evaluation import Evaluation
from models.groups import GroupRule
from models.tally import mean_scores_of_replicates

NUM_CLASSES = 6
COUNTS = (50, 30, 12, 8, 3, 1)
RULE = GroupRule(kind="terciles", head_min=20, tail_max=5)
GROUPS = RULE.assign(COUNTS)


def _drawn(
    seed: int, num_images: int = 200, classes: int = NUM_CLASSES
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, num_images)
    logits = rng.normal(0, 1, (num_images, NUM_CLASSES))
    logits[np.arange(num_images), labels] += 1.5
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True), labels


def _evaluate(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Evaluation:
    return metrics.evaluate(
        probabilities,
        labels,
        class_labels=[f"species_{index}" for index in range(NUM_CLASSES)],
        training_counts=COUNTS,
        groups=GROUPS,
        split="test",
        data_sha256="0" * 64,
    )


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_the_figures_are_those_of_scikit_learn(seed: int) -> None:
    probabilities, labels = _drawn(seed)
    predicted = probabilities.argmax(axis=1)
    found = _evaluate(probabilities, labels)
    assert found.accuracy.value == pytest.approx(accuracy_score(labels, predicted))
    assert found.macro_recall.value == pytest.approx(
        recall_score(labels, predicted, average="macro", zero_division=0)
    )
    assert found.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0))
    assert found.weighted_f1 == pytest.approx(
        f1_score(labels, predicted, average="weighted", zero_division=0)
    )


def test_each_species_has_the_recall_and_precision_of_scikit_learn() -> None:
    probabilities, labels = _drawn(7)
    predicted = probabilities.argmax(axis=1)
    recall = recall_score(labels, predicted, average=None)
    precision = precision_score(labels, predicted, average=None)
    for index, species in enumerate(_evaluate(probabilities, labels).species):
        assert species.recall is not None
        assert species.precision is not None
        assert species.recall.value == pytest.approx(recall[index])
        assert species.precision.value == pytest.approx(precision[index])
        assert species.recall.interval[0] <= species.recall.value <= species.recall.interval[1]


def test_a_groups_recall_is_the_mean_of_its_species() -> None:
    probabilities, labels = _drawn(11)
    recall = recall_score(labels, probabilities.argmax(axis=1), average=None)
    found = _evaluate(probabilities, labels)
    for group in ("head", "middle", "tail"):
        members = [index for index, name in enumerate(GROUPS) if name == group]
        estimate = found.group(group).recall
        assert estimate is not None
        assert estimate.value == pytest.approx(recall[members].mean())
        assert estimate.interval[0] <= estimate.value <= estimate.interval[1]


def test_the_confusions_are_those_of_scikit_learn() -> None:
    probabilities, labels = _drawn(13)
    matrix = reference_matrix(labels, probabilities.argmax(axis=1))
    found = {
        (pair.true, pair.predicted): pair.num_images for pair in _evaluate(probabilities, labels).confusions
    }
    assert found == {
        (f"species_{true}", f"species_{predicted}"): count
        for (true, predicted), count in np.ndenumerate(matrix)
        if true != predicted and count
    }


def test_a_groups_interval_is_that_of_images_drawn_anew_within_each_species() -> None:
    probabilities, labels = _drawn(29, num_images=60)
    right = probabilities.argmax(axis=1) == labels
    members = [index for index, group in enumerate(GROUPS) if group == "tail"]
    rng = np.random.default_rng(1)
    means = [
        np.mean([rng.choice(right[labels == index], (labels == index).sum()).mean() for index in members])
        for _ in range(2000)
    ]
    drawn = mean_scores_of_replicates(
        labels,
        probabilities.argmax(axis=1),
        np.array([[group == "tail" for group in GROUPS]]),
        seed=0,
        num=2000,
    )["recall"]
    assert drawn.mean() == pytest.approx(np.mean(means), abs=0.01)
    assert drawn.std() == pytest.approx(np.std(means), rel=0.1)


def test_twenty_thousand_species_are_evaluated_without_a_table_of_species_by_species() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 20_000, (2, 5_000))
    tracemalloc.start()
    found = metrics.evaluate_predictions(
        predicted,
        np.full(len(labels), 0.5),
        labels,
        class_labels=[str(index) for index in range(20_000)],
        training_counts=[1] * 20_000,
        groups=["tail"] * 20_000,
        split="test",
        data_sha256="0" * 64,
        num_bootstrap=3,
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.species) == 20_000
    assert peak < 300_000_000  # a table of 8 bytes for each pair would be 3.2 GB


def test_a_species_without_test_images_has_no_recall_rather_than_zero() -> None:
    probabilities, labels = _drawn(17, classes=NUM_CLASSES - 1)
    found = _evaluate(probabilities, labels)
    assert found.species[-1].recall is None
    assert found.species[-1].num_test_images == 0
    assert found.num_species_tested == NUM_CLASSES - 1


def test_a_group_without_test_images_is_none_throughout() -> None:
    probabilities, labels = _drawn(19, classes=2)
    tail = _evaluate(probabilities, labels).group("tail")
    assert (tail.recall, tail.precision, tail.f1, tail.ece) == (None, None, None, None)
    assert tail.num_species == 2


def test_no_images_are_an_error_that_names_the_split() -> None:
    with pytest.raises(ValueError, match="split 'test' has no images"):
        _evaluate(np.zeros((0, NUM_CLASSES)), np.zeros(0, dtype=np.int64))


def test_perfect_predictions_have_no_confusions_and_a_bounded_interval() -> None:
    labels = np.repeat(np.arange(NUM_CLASSES), 5)
    found = _evaluate(np.eye(NUM_CLASSES)[labels], labels)
    assert found.accuracy.value == 1.0
    assert found.accuracy.interval[1] == 1.0
    assert found.accuracy.interval[0] < 1.0
    assert found.confusions == ()
    assert found.ece == 0.0


def test_the_same_predictions_give_the_same_intervals() -> None:
    probabilities, labels = _drawn(23)
    assert _evaluate(probabilities, labels) == _evaluate(probabilities, labels)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    confidence = np.full(100, 0.8)
    correct = np.arange(100) < 60
    bins = metrics.reliability_bins(confidence, correct)
    # Equal-mass bins split equal confidences in their order: the mean over bins of |0.8 - accuracy|.
    expected = np.mean([abs(0.8 - part.mean()) for part in np.array_split(correct, metrics.NUM_BINS)])
    assert metrics.expected_calibration_error(bins) == pytest.approx(expected, abs=0.02)


def test_confused_species_are_named_most_often_first() -> None:
    labels = np.array([0] * 6 + [1] * 4, dtype=np.int64)
    predicted = np.array([0, 0, 1, 1, 1, 2, 1, 1, 1, 0])
    found = _evaluate(np.eye(NUM_CLASSES)[predicted], labels)
    assert found.species[0].confused_with == ("species_1", "species_2")
    assert (found.confusions[0].true, found.confusions[0].predicted) == ("species_0", "species_1")
    assert found.confusions[0].num_images == 3


@given(st.integers(0, 200), st.integers(1, 200))
def test_a_wilson_interval_holds_its_proportion(successes: int, trials: int) -> None:
    successes = min(successes, trials)
    low, high = metrics.wilson(successes, trials)
    assert 0.0 <= low <= successes / trials <= high <= 1.0


def test_a_group_without_an_error_is_not_said_to_be_certain() -> None:
    """A bootstrap of what never failed has no width."""
    labels = np.arange(4, dtype=np.int64)
    found = metrics.evaluate(
        np.eye(4)[labels],
        labels,
        class_labels=list("abcd"),
        training_counts=[1, 1, 1, 1],
        groups=["tail"] * 4,
        split="test",
        data_sha256="0" * 64,
    )
    for estimate in (found.group("tail").recall, found.group("tail").precision, found.macro_recall):
        assert estimate is not None
        assert estimate.interval == metrics.wilson(4, 4)
