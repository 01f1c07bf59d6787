"""Species that a model must not know, so that it can be judged by them. Drawn by lot, with a seed."""

import csv
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.data.index import Index, Sample

LEFT_OUT = "left_out.csv"


def leave_species_out(index: Index, count: int, *, seed: int) -> tuple[Index, tuple[Sample, ...]]:
    """The index without ``count`` of its species, and the photos of these. More are a superset of fewer.

    Raises ValueError where fewer than two species would be left.
    """
    labels = [taxon.label for taxon in index.taxa]
    if count > len(labels) - 2:
        raise ValueError(
            f"--leave-out {count}: there are {len(labels)} species, and two must be left to learn"
        )
    random.Random(f"{seed}/left out").shuffle(labels)
    gone = frozenset(labels[:count])
    left = replace(
        index,
        samples=tuple(sample for sample in index.samples if sample.label not in gone),
        taxa=tuple(taxon for taxon in index.taxa if taxon.label not in gone),
    )
    return left, tuple(sample for sample in index.samples if sample.label in gone)


def write_left_out(folder: Path, root: Path, samples: Sequence[Sample]) -> None:
    """A CSV of these photos beside the prepared data, with whole paths: what ``judge-unknown --outsiders`` reads."""
    with (folder / LEFT_OUT).open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(("path", "label"))
        rows.writerows((root / sample.path, sample.label) for sample in samples)
