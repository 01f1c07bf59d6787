"""A run or a bundle on one split of a data set -> an Evaluation, and a table to read."""

import numpy as np
from numpy.typing import NDArray

from models.metrics import Evaluation, evaluate
from training.data.index import Sample
from training.data.prepared import Dataset
from training.trust_lines import trust_lines


def class_indices(dataset: Dataset, samples: tuple[Sample, ...]) -> NDArray[np.int64]:
    """Class index of each sample."""
    places = {label: place for place, label in enumerate(dataset.labels)}
    return np.array([places[sample.label] for sample in samples], dtype=np.int64)


def evaluate_probabilities(
    probabilities_NC: NDArray[np.float64],
    dataset: Dataset,
    samples: tuple[Sample, ...],
    *,
    split: str,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Evaluate; a note says what remains without photos whose session was also trained on."""
    labels_N = class_indices(dataset, samples)
    return evaluate(
        probabilities_NC,
        labels_N,
        class_labels=dataset.labels,
        training_counts=dataset.info.training_counts,
        groups=dataset.groups,
        split=split,
        data_sha256=dataset.info.content_sha256,
        notes=notes + _leak_note(probabilities_NC, labels_N, samples),
    )


def _leak_note(
    probabilities_NC: NDArray[np.float64], labels_N: NDArray[np.int64], samples: tuple[Sample, ...]
) -> tuple[str, ...]:
    leaky_N = np.array([sample.leaky for sample in samples])
    if not leaky_N.any() or leaky_N.all():
        return ()
    correct_N = probabilities_NC.argmax(axis=1) == labels_N
    return (
        f"{int(leaky_N.sum())} of these photos share a session with training photos of their species; "
        f"on the other {int((~leaky_N).sum())} accuracy is {correct_N[~leaky_N].mean():.1%}.",
    )


def table(evaluation: Evaluation) -> str:
    """The evaluation as lines of text."""
    low, high = evaluation.accuracy.interval
    lines = [
        f"{evaluation.num_test_images} photos of {evaluation.num_species_tested} species, split {evaluation.split}",
        f"accuracy      {evaluation.accuracy.value:6.1%}  ({low:.1%} to {high:.1%})",
        f"macro recall  {evaluation.macro_recall.value:6.1%}",
        f"macro F1      {evaluation.macro_f1:6.1%}",
        f"ECE           {evaluation.ece:6.3f}",
    ]
    for group in evaluation.groups:
        words = "no species"
        if group.recall is not None:
            low, high = group.recall.interval
            words = (
                f"recall {group.recall.value:6.1%}  ({low:.1%} to {high:.1%}), {group.num_species} species"
            )
        lines.append(f"{group.group:<13} {words}")
    return "\n".join([*lines, *trust_lines(evaluation), *evaluation.notes])
