"""Versions whose every test photo is given: what was named right, and how confidently."""

from collections.abc import Sequence

import numpy as np

from models import metrics
from models.comparison import Measured
from models.groups import choose_rule
from models.predictions import Prediction

COUNTS = (200, 150, 60, 40, 12, 5)
LABELS = tuple("abcdef")


def measured(
    right: Sequence[Sequence[int]],
    *,
    confidence: float = 0.8,
    labels: Sequence[str] = LABELS,
    counts: Sequence[int] = COUNTS,
    keep: bool = True,
    first_photo: int = 0,
    data: str = "d",
) -> Measured:
    """A version that named photo ``n`` of species ``c`` right where ``right[c][n]``; else as the next species."""
    rows = [(c, bool(hit)) for c, hits in enumerate(right) for hit in hits]
    labels_N = np.array([c for c, _ in rows])
    predicted_N = np.array([c if hit else (c + 1) % len(labels) for c, hit in rows])
    confidence_N = np.full(len(rows), confidence)
    evaluation = metrics.evaluate_predictions(
        predicted_N,
        confidence_N,
        labels_N,
        class_labels=labels,
        training_counts=counts,
        groups=choose_rule(COUNTS).assign(counts),
        split="test",
        data_sha256=data,
    )
    predictions = tuple(
        Prediction(f"{first_photo + number:064x}", labels[label], labels[predicted], confidence)
        for number, (label, predicted) in enumerate(zip(labels_N, predicted_N, strict=True))
    )
    return Measured(evaluation, predictions if keep else None)


ALL = [[1] * 10] * 6
WORSE_TAIL = [*[[1] * 10] * 4, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
