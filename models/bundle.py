"""Read, verify and write a bundle folder. Nothing else touches its files.

A bundle is ``model.onnx``, ``card.json``, ``evaluation.json``, ``README.md`` and ``SHA256SUMS``, no more.
"""

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from models.card import ModelCard
from models.metrics import Evaluation
from models.onnx_policy import check_graph

MODEL, CARD, EVALUATION, README, SUMS = (
    "model.onnx",
    "card.json",
    "evaluation.json",
    "README.md",
    "SHA256SUMS",
)
CONTENT = (MODEL, CARD, EVALUATION, README)
_Schema = TypeVar("_Schema", bound=BaseModel)
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


def read(path: Path) -> Bundle:
    """Read and verify a bundle folder. Raises BundleError, naming the file and the fault."""
    contents, sha256 = _verified_contents(path)
    card = _parse(ModelCard, CARD, contents[CARD])
    evaluation = _parse(Evaluation, EVALUATION, contents[EVALUATION])
    _check_agreement(card, evaluation)
    try:
        check_graph(
            contents[MODEL],
            size_px=card.preprocessing.size_px,
            num_classes=card.num_classes,
            embedding_dim=card.embedding_dim,
        )
    except ValueError as error:
        raise BundleError(f"{MODEL}: {error}") from error
    return Bundle(
        path, card, evaluation, contents[MODEL], contents[README].decode("utf-8", "replace"), sha256
    )


def write(path: Path, *, onnx: bytes, card: ModelCard, evaluation: Evaluation, readme: str) -> Bundle:
    """Write a bundle folder whole or not at all, then read it back. Raises FileExistsError."""
    if path.exists():
        raise FileExistsError(f"{path} exists; a bundle is immutable: choose another version")
    contents = {
        MODEL: onnx,
        CARD: (card.model_dump_json(indent=1) + "\n").encode(),
        EVALUATION: (evaluation.model_dump_json(indent=1) + "\n").encode(),
        README: readme.encode(),
    }
    staging = path.with_name(f".{path.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for name, data in contents.items():
        (staging / name).write_bytes(data)
    sums = "".join(f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in sorted(contents))
    (staging / SUMS).write_text(sums, encoding="utf-8")
    bundle = read(staging)
    staging.rename(path)
    return Bundle(path, bundle.card, bundle.evaluation, bundle.onnx, bundle.readme, bundle.sha256)


def _verified_contents(path: Path) -> tuple[dict[str, bytes], str]:
    if not path.is_dir():
        raise BundleError(f"{path}: there is no bundle folder here")
    present = {entry.name for entry in path.iterdir()}
    missing, extra = sorted({*CONTENT, SUMS} - present), sorted(present - {*CONTENT, SUMS})
    if missing or extra:
        fault = f"{missing[0]} is missing" if missing else f"{extra[0]} does not belong in a bundle"
        raise BundleError(f"{path}: {fault}")
    if irregular := [name for name in sorted(present) if not _is_plain_file(path / name)]:
        raise BundleError(f"{irregular[0]}: is not a plain file")
    sums = (path / SUMS).read_bytes()
    expected = _parse_sums(sums)
    contents = {name: (path / name).read_bytes() for name in CONTENT}
    for name, data in contents.items():
        if hashlib.sha256(data).hexdigest() != expected[name]:
            raise BundleError(
                f"{name}: its SHA-256 is not the one in {SUMS}; the file was changed or cut off"
            )
    return contents, hashlib.sha256(sums).hexdigest()


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _parse_sums(sums: bytes) -> dict[str, str]:
    expected: dict[str, str] = {}
    for number, line in enumerate(sums.decode("utf-8", "replace").splitlines(), start=1):
        match = _SUM_LINE.match(line)
        if match is None or match[2] in expected:
            raise BundleError(f"{SUMS}: line {number} is not '<sha256>  <name>' with a new name")
        expected[match[2]] = match[1]
    if set(expected) != set(CONTENT):
        raise BundleError(f"{SUMS}: must list exactly {', '.join(sorted(CONTENT))}")
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
