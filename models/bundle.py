"""Read, verify and write a bundle folder. Nothing else touches its files.

A bundle is ``model.onnx``, ``card.json``, ``evaluation.json``, ``README.md`` and ``SHA256SUMS``, perhaps the files of
``OPTIONAL``, which older ones lack, and perhaps a ``SIGNATURE`` of ``SHA256SUMS``; no more.
"""

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from models.card import ModelCard
from models.golden import Golden, dump_golden, parse_golden
from models.metrics import Evaluation, expected_calibration_error, reliability_bins
from models.neighbours import Neighbours, dump_neighbours, parse_neighbours
from models.onnx_policy import check_graph
from models.predictions import Prediction, Predictions, dump_predictions, parse_predictions
from models.unknown import Space
from models.unknown_file import dump_space, parse_space

MODEL, CARD, EVALUATION, README, SUMS = (
    "model.onnx",
    "card.json",
    "evaluation.json",
    "README.md",
    "SHA256SUMS",
)
PREDICTIONS, GOLDEN, UNKNOWN, NEIGHBOURS = "predictions.csv", "golden.npz", "unknown.npz", "neighbours.npz"
SIGNATURE = "SIGNATURE"
"""Who vouches for ``SHA256SUMS``, and so for all else. Not part of what is hashed: signing changes no version."""

CONTENT = (MODEL, CARD, EVALUATION, README)
OPTIONAL = (PREDICTIONS, GOLDEN, UNKNOWN, NEIGHBOURS)
MAX_BYTES = {
    MODEL: 2**31 - 1,  # what a protobuf message may have
    CARD: 50_000_000,
    EVALUATION: 200_000_000,
    README: 1_000_000,
    PREDICTIONS: 500_000_000,
    GOLDEN: 50_000_000,
    UNKNOWN: 200_000_000,
    NEIGHBOURS: 300_000_000,
    SUMS: 10_000,
    SIGNATURE: 1_000,
}
"""Every file that a bundle may have, and the most bytes of each."""

_Schema = TypeVar("_Schema", bound=BaseModel)
_ECE_TOLERANCE = 1e-9
_SUM_LINE = re.compile(r"^([0-9a-f]{64})  ([^/\\]+)$")


class BundleError(ValueError):
    """A bundle that is refused. The message names the file and the fault."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle. ``onnx`` are the very bytes that were hashed: load these, not the file again."""

    path: Path
    card: ModelCard
    evaluation: Evaluation
    onnx: bytes
    readme: str
    sha256: str
    """Hash of SHA256SUMS, and so of everything in the bundle."""
    evaluation_sha256: str
    predictions: Predictions | None
    """What was named on each test photo; None for a bundle from before these were kept."""
    golden: Golden | None = None
    """What the network answered where it was exported; None for a bundle from before this was kept."""
    unknown: Space | None = None
    """Where known photos lie, for the rule ``card.unknown``; None where the card has none."""
    neighbours: Neighbours | None = None
    """The training photos as codes; None for a bundle that carries none."""


def read(path: Path) -> Bundle:
    """Read and verify a bundle folder. Raises BundleError, naming the file and the fault."""
    contents, sha256 = _verified_contents(path)
    card = _parse(ModelCard, CARD, contents[CARD])
    evaluation = _parse(Evaluation, EVALUATION, contents[EVALUATION])
    _check_agreement(card, evaluation)
    predictions = _predictions(contents.get(PREDICTIONS), evaluation)
    unknown = _unknown(contents.get(UNKNOWN), card)
    try:
        check_graph(
            contents[MODEL],
            size_px=card.preprocessing.size_px,
            num_classes=card.num_classes,
            embedding_dim=card.embedding_dim,
        )
    except ValueError as error:
        raise BundleError(f"{MODEL}: {error}") from error
    golden = _golden(contents.get(GOLDEN), card)
    return Bundle(
        path=path,
        card=card,
        evaluation=evaluation,
        onnx=contents[MODEL],
        readme=contents[README].decode("utf-8", "replace"),
        sha256=sha256,
        evaluation_sha256=hashlib.sha256(contents[EVALUATION]).hexdigest(),
        predictions=predictions,
        golden=golden,
        unknown=unknown,
        neighbours=_neighbours(contents.get(NEIGHBOURS), card),
    )


def write(
    path: Path,
    *,
    onnx: bytes,
    card: ModelCard,
    evaluation: Evaluation,
    readme: str,
    predictions: Sequence[Prediction] | None = None,
    golden: Golden | None = None,
    unknown: Space | None = None,
    neighbours: Neighbours | None = None,
) -> Bundle:
    """Write a bundle folder whole or not at all, then read it back. Raises FileExistsError."""
    if path.exists():
        raise FileExistsError(f"{path} exists; a bundle is immutable: choose another version")
    contents = {
        MODEL: onnx,
        CARD: (card.model_dump_json(indent=1) + "\n").encode(),
        EVALUATION: (evaluation.model_dump_json(indent=1) + "\n").encode(),
        README: readme.encode(),
    }
    if predictions is not None:
        contents[PREDICTIONS] = dump_predictions(predictions)
    if golden is not None:
        contents[GOLDEN] = dump_golden(golden)
    if unknown is not None:
        contents[UNKNOWN] = dump_space(unknown)
    if neighbours is not None:
        contents[NEIGHBOURS] = dump_neighbours(neighbours)
    staging = path.with_name(f".{path.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for name, data in contents.items():
        (staging / name).write_bytes(data)
    sums = "".join(f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in sorted(contents))
    (staging / SUMS).write_text(sums, encoding="utf-8")
    bundle = read(staging)
    staging.rename(path)
    return replace(bundle, path=path)


def file_names(path: Path) -> list[str]:
    """Names of the files of the bundle in this folder, sorted."""
    return sorted([*CONTENT, SUMS, *(name for name in (*OPTIONAL, SIGNATURE) if (path / name).exists())])


def _verified_contents(path: Path) -> tuple[dict[str, bytes], str]:
    if not path.is_dir():
        raise BundleError(f"{path}: there is no bundle folder here")
    present = {entry.name for entry in path.iterdir()}
    missing, extra = sorted({*CONTENT, SUMS} - present), sorted(present - MAX_BYTES.keys())
    if missing or extra:
        fault = f"{missing[0]} is missing" if missing else f"{extra[0]} does not belong in a bundle"
        raise BundleError(f"{path}: {fault}")
    if irregular := [name for name in sorted(present) if not _is_plain_file(path / name)]:
        raise BundleError(f"{irregular[0]}: is not a plain file")
    if large := [name for name in sorted(present) if (path / name).stat().st_size > MAX_BYTES[name]]:
        raise BundleError(f"{large[0]}: has more than {MAX_BYTES[large[0]]:,} bytes")
    sums = (path / SUMS).read_bytes()
    names = present - {SUMS, SIGNATURE}
    expected = parse_sums(sums)
    if set(expected) != names:
        raise BundleError(f"{SUMS}: must list exactly {', '.join(sorted(names))}")
    contents = {name: (path / name).read_bytes() for name in sorted(names)}
    for name, data in contents.items():
        if hashlib.sha256(data).hexdigest() != expected[name]:
            raise BundleError(
                f"{name}: its SHA-256 is not the one in {SUMS}; the file was changed or cut off"
            )
    return contents, hashlib.sha256(sums).hexdigest()


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def parse_sums(sums: bytes) -> dict[str, str]:
    """``SHA256SUMS`` as hashes by name. Raises BundleError that names the line."""
    expected: dict[str, str] = {}
    for number, line in enumerate(sums.decode("utf-8", "replace").splitlines(), start=1):
        match = _SUM_LINE.match(line)
        if match is None or match[2] in expected:
            raise BundleError(f"{SUMS}: line {number} is not '<sha256>  <name>' with a new name")
        expected[match[2]] = match[1]
    return expected


def _parse(kind: type[_Schema], name: str, data: bytes) -> _Schema:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise BundleError(f"{name}: {where}: {first['msg']}") from error


def _check_agreement(card: ModelCard, evaluation: Evaluation) -> None:
    labels = [taxon.label for taxon in card.taxa]
    if [species.label for species in evaluation.species] != labels:
        raise BundleError(f"{EVALUATION}: its species are not the taxa of {CARD}, in order")
    for species, count, group in zip(evaluation.species, card.training_counts, card.groups, strict=True):
        if species.training_count != count or species.group != group:
            raise BundleError(f"{EVALUATION}: {species.label}: training count or group differs from {CARD}")


def _unknown(data: bytes | None, card: ModelCard) -> Space | None:
    if (data is None) != (card.unknown is None):
        there, missing = (CARD, UNKNOWN) if data is None else (UNKNOWN, CARD)
        raise BundleError(
            f"{there}: says when something is unknown, and {missing} does not; they go together"
        )
    if data is None:
        return None
    try:
        return parse_space(data, num_classes=card.num_classes, embedding_dim=card.embedding_dim)
    except ValueError as error:
        raise BundleError(f"{UNKNOWN}: {error}") from error


def _predictions(data: bytes | None, evaluation: Evaluation) -> Predictions | None:
    if data is None:
        return None
    try:
        predictions = parse_predictions(data)
        _check_predictions(predictions, evaluation)
    except ValueError as error:
        raise BundleError(f"{PREDICTIONS}: {error}") from error
    return predictions


def _golden(data: bytes | None, card: ModelCard) -> Golden | None:
    if data is None:
        return None
    try:
        return parse_golden(
            data,
            size_px=card.preprocessing.size_px,
            num_classes=card.num_classes,
            embedding_dim=card.embedding_dim,
        )
    except ValueError as error:
        raise BundleError(f"{GOLDEN}: {error}") from error


def _neighbours(data: bytes | None, card: ModelCard) -> Neighbours | None:
    if data is None:
        return None
    try:
        return parse_neighbours(data, num_classes=card.num_classes, embedding_dim=card.embedding_dim)
    except ValueError as error:
        raise BundleError(f"{NEIGHBOURS}: {error}") from error


def _check_predictions(predictions: Predictions, evaluation: Evaluation) -> None:
    """Raises ValueError unless the evaluation's counts and its ECE are those of these very photos."""
    labels = {species.label for species in evaluation.species}
    named = Counter((each.label, each.predicted) for each in predictions)
    if unknown := sorted({label for pair in named for label in pair} - labels):
        raise ValueError(f"{unknown[0]!r} is not one of the labels of {CARD}")
    tested = Counter(each.label for each in predictions)
    for species in evaluation.species:
        if tested[species.label] != species.num_test_images:
            raise ValueError(
                f"has {tested[species.label]} photos of {species.label}, but {EVALUATION} was made on "
                f"{species.num_test_images}"
            )
    wrong = {pair: count for pair, count in named.items() if pair[0] != pair[1]}
    if wrong != {(pair.true, pair.predicted): pair.num_images for pair in evaluation.confusions}:
        raise ValueError(f"{EVALUATION} counts other confusions than these photos give")
    correct_N = np.array([each.label == each.predicted for each in predictions])
    ece = expected_calibration_error(
        reliability_bins(np.array([each.confidence for each in predictions]), correct_N)
    )
    if abs((ece or 0.0) - evaluation.ece) > _ECE_TOLERANCE:
        raise ValueError(f"{EVALUATION} has another ECE than these confidences give")
