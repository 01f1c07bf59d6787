"""What a version named each test photo, so that two versions can be compared photo by photo. Values and their CSV.

One line a photo: the SHA-256 of its file, its label, the most probable label, and that label's probability.
"""

import csv
import io
import re
from collections.abc import Sequence
from typing import NamedTuple

HEADER = ("sha256", "label", "predicted", "confidence")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


class Prediction(NamedTuple):
    """One test photo: what it is, what it was named, and the calibrated probability of that name."""

    sha256: str
    label: str
    predicted: str
    confidence: float


Predictions = tuple[Prediction, ...]
"""Of every test photo, once, in the order in which they were judged."""


def dump_predictions(predictions: Sequence[Prediction]) -> bytes:
    """The CSV of these predictions. Confidences keep every digit, so that figures can be computed again.

    >>> dump_predictions([Prediction("0" * 64, "a", "b", 0.5)]).decode().splitlines()[0]
    'sha256,label,predicted,confidence'
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((each.sha256, each.label, each.predicted, repr(each.confidence)) for each in predictions)
    return stream.getvalue().encode()


def parse_predictions(data: bytes) -> Predictions:
    """The predictions of a CSV. Raises ValueError naming the line and what is wrong with it."""
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"is not a CSV in UTF-8 ({type(error).__name__})") from error
    if not rows or tuple(rows[0][1]) != HEADER:
        raise ValueError(f"line 1 is not {','.join(HEADER)}")
    seen: set[str] = set()
    found = []
    for number, row in rows[1:]:
        prediction = _parse_row(number, row)
        if prediction.sha256 in seen:
            raise ValueError(f"line {number}: the photo {prediction.sha256[:12]}… stands here twice")
        seen.add(prediction.sha256)
        found.append(prediction)
    return tuple(found)


def _parse_row(number: int, row: list[str]) -> Prediction:
    if len(row) != len(HEADER):
        raise ValueError(f"line {number} has {len(row)} columns; expected {len(HEADER)}")
    sha256, label, predicted, confidence = row
    if not _SHA256.match(sha256):
        raise ValueError(f"line {number}: sha256 is not 64 hexadecimal digits")
    try:
        probability = float(confidence)
    except ValueError:
        probability = -1.0
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"line {number}: confidence is not a number in 0 to 1")
    return Prediction(sha256, label, predicted, probability)
