"""Folder or CSV -> samples, and the problems found on the way. Decides nothing about splits."""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from models.preprocess import PhotoError, PhotoLimits, canvas
from models.taxonomy import Taxon

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".tif", ".tiff", ".bmp", ".gif"}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "path": ("path", "file", "filename", "image"),
    "label": ("label", "class_name", "species", "class"),
    "split": ("split",),
    "fold": ("fold",),
    "session": ("session", "specimen", "specimen_id"),
    "scientific_name": ("scientific_name",),
    "taxon_rank": ("taxon_rank",),
    "taxon_id": ("taxon_id",),
    "gbif_species_key": ("gbif_species_key", "gbif_key"),
    "vernacular_name": ("vernacular_name", "common_name"),
    "genus": ("genus",),
    "family": ("family",),
    "is_aggregate": ("is_aggregate",),
}
"""What a column may be called, first match wins."""

SPLITS = ("train", "val", "test")
_OPEN_LIMITS = PhotoLimits(max_bytes=500_000_000, max_pixels=400_000_000)


@dataclass(frozen=True)
class Sample:
    """One photo of the index. ``split`` is empty until one is assigned; ``leaky`` marks an evaluation photo whose
    session of the same species is also trained on.
    """

    path: str
    label: str
    row: int
    split: str = ""
    fold: str = ""
    session: str = ""
    sha256: str = ""
    leaky: bool = False


@dataclass(frozen=True)
class Problem:
    """A row that was not used as it stands: where, what, and what was done about it."""

    row: int
    path: str
    fault: str
    handling: str


@dataclass(frozen=True)
class Index:
    """Samples in a stable order, a taxon for each label (sorted by label), and the problems."""

    root: Path
    samples: tuple[Sample, ...]
    taxa: tuple[Taxon, ...]
    problems: tuple[Problem, ...]


def read_index(source: Path, root: Path | None = None) -> Index:
    """Read a folder (one sub-folder a species) or a CSV. Raises ValueError for a source that cannot be read at all.

    Bad rows never vanish: each becomes a Problem with its row number (for a folder, its place in sorted order, and 0
    for a species without a file).
    """
    empty: list[Problem] = []
    if source.is_dir():
        rows, found_root = list(_folder_rows(source)), source
        empty = _empty_folders(source, {row["label"] for _, row in rows})
    elif source.is_file():
        rows, found_root = _csv_rows(source)
    else:
        raise ValueError(f"{source}: there is no folder or CSV file here")
    root = (root or found_root).resolve()
    samples, taxa, problems = _collect(rows)
    samples, unreadable = _check_photos(root, samples)
    samples, single = _drop_singletons(samples)
    kept = {sample.label for sample in samples}
    if len(kept) < 2:
        raise ValueError(
            f"{source}: fewer than two species have two readable photos; first problem: "
            f"{next((p.fault for p in (*problems, *unreadable, *single)), 'no photos found')}"
        )
    ordered = tuple(taxa[label] for label in sorted(kept))
    faults = sorted((*empty, *problems, *unreadable, *single), key=lambda problem: problem.row)
    return Index(root, tuple(samples), ordered, tuple(faults))


def _species_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _empty_folders(folder: Path, labels: set[str]) -> list[Problem]:
    """A species without a file has no row that could be listed: it is listed itself, as row 0."""
    names = [species.name for species in _species_folders(folder)]
    handling = "no such species in the data: add photos"
    return [Problem(0, name, "a folder without photos", handling) for name in names if name not in labels]


def _folder_rows(folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    number = 0
    for species in _species_folders(folder):
        for photo in sorted(species.rglob("*")):
            if photo.is_file() and not photo.name.startswith("."):
                number += 1
                yield number, {"path": photo.relative_to(folder).as_posix(), "label": species.name}


def _csv_rows(file: Path) -> tuple[list[tuple[int, dict[str, str]]], Path]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        names = [name.strip() for name in reader.fieldnames or ()]
        columns = {
            field: next((n for n in options if n in names), None) for field, options in COLUMNS.items()
        }
        for field in ("path", "label"):
            if columns[field] is None:
                expected, found = ", ".join(COLUMNS[field]), ", ".join(names) or "none"
                raise ValueError(
                    f"{file}: no column for the {field}; expected one of {expected}, found {found}"
                )
        rows = [
            (number, {field: (row.get(name) or "").strip() for field, name in columns.items() if name})
            for number, row in enumerate(reader, start=2)
        ]
    beside = [file.parent, file.parent / "images"]
    first = next((row["path"] for _, row in rows if row["path"]), "")
    return rows, next((folder for folder in beside if (folder / first).is_file()), file.parent)


def _collect(rows: list[tuple[int, dict[str, str]]]) -> tuple[list[Sample], dict[str, Taxon], list[Problem]]:
    samples: list[Sample] = []
    taxa: dict[str, Taxon] = {}
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        path, label, split = row["path"], row["label"], row.get("split", "")
        fault = _row_fault(row, seen)
        if fault is None and label not in taxa:
            try:
                taxa[label] = _taxon(row)
            except ValidationError as error:
                taxa[label] = Taxon(label=label)
                problems.append(
                    Problem(
                        number, path, f"taxon columns: {error.errors()[0]['msg']}", "kept without taxonomy"
                    )
                )
        if fault is not None:
            problems.append(Problem(number, path, fault, "left out"))
            continue
        seen[path] = number
        samples.append(Sample(path, label, number, split, row.get("fold", ""), row.get("session", "")))
    return samples, taxa, problems


def _row_fault(row: dict[str, str], seen: dict[str, int]) -> str | None:
    if not row["path"]:
        return "no path"
    if not row["label"]:
        return "no label"
    if row["path"] in seen:
        return f"the same path as row {seen[row['path']]}"
    if row.get("split", "") not in ("", *SPLITS):
        return f"unknown split {row['split']!r}; expected {', '.join(SPLITS)}"
    if Path(row["path"]).suffix.lower() not in PHOTO_SUFFIXES:
        return "not a photo by its name"
    return None


def _taxon(row: dict[str, str]) -> Taxon:
    known = {
        field: row.get(field) or None for field in ("scientific_name", "vernacular_name", "genus", "family")
    }
    rank = row.get("taxon_rank") or (
        "aggregate" if row.get("is_aggregate") in ("1", "true", "True") else None
    )
    if rank is None and known["scientific_name"]:
        rank = "species"
    key = row.get("taxon_id") or (f"gbif:{row['gbif_species_key']}" if row.get("gbif_species_key") else None)
    return Taxon.model_validate({"label": row["label"], "taxon_rank": rank, "taxon_id": key, **known})


def _check_photos(root: Path, samples: list[Sample]) -> tuple[list[Sample], list[Problem]]:
    """Hash every photo and prove that it decodes; equal bytes under two labels are a fault of both."""
    with ThreadPoolExecutor() as pool:
        checked = list(pool.map(lambda sample: _check_photo(root, sample), samples))
    problems = [result for result in checked if isinstance(result, Problem)]
    readable = [result for result in checked if isinstance(result, Sample)]
    labels: dict[str, set[str]] = {}
    for sample in readable:
        labels.setdefault(sample.sha256, set()).add(sample.label)
    kept: list[Sample] = []
    first: dict[str, int] = {}
    for sample in readable:
        if len(labels[sample.sha256]) > 1:
            names = ", ".join(sorted(labels[sample.sha256]))
            problems.append(
                Problem(sample.row, sample.path, f"the same photo under several labels: {names}", "left out")
            )
        elif sample.sha256 in first:
            problems.append(
                Problem(sample.row, sample.path, f"the same photo as row {first[sample.sha256]}", "left out")
            )
        else:
            first[sample.sha256] = sample.row
            kept.append(sample)
    return kept, problems


def _check_photo(root: Path, sample: Sample) -> Sample | Problem:
    try:
        data = (root / sample.path).read_bytes()
    except OSError as error:
        return Problem(sample.row, sample.path, f"cannot be read: {error.strerror}", "left out")
    try:
        canvas(data, 16, _OPEN_LIMITS)
    except PhotoError as error:
        return Problem(sample.row, sample.path, str(error), "left out")
    return replace(sample, sha256=hashlib.sha256(data).hexdigest())


def _drop_singletons(samples: list[Sample]) -> tuple[list[Sample], list[Problem]]:
    """A species with one photo can be learnt or judged, not both: it is left out, and said so."""
    counts = Counter(sample.label for sample in samples)
    problems = [
        Problem(sample.row, sample.path, f"the only photo of {sample.label}", "left out: add a second photo")
        for sample in samples
        if counts[sample.label] == 1
    ]
    return [sample for sample in samples if counts[sample.label] > 1], problems


def content_hash(samples: tuple[Sample, ...]) -> str:
    """SHA-256 over every photo's hash, label and split: the same data and split, the same hash, wherever it lies."""
    lines = sorted(f"{s.sha256} {s.label} {s.split} {int(s.leaky)}\n" for s in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
