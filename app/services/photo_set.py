"""Photos with labels in a zip, as an admin uploads them. Never unpacked: members are read one at a time, by name.

One CSV lies in it, with the columns ``file`` and ``label``; every other file that it names is a photo.
"""

import csv
import io
import zipfile
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from app.errors import InvalidField
from models import bundle

FIELD = "photos"
MAX_PHOTOS = 10_000
_MAX_MEMBERS = 2 * MAX_PHOTOS
_MAX_CSV_BYTES = 5_000_000
_MEMBER = b"PK\x01\x02"
_CHUNK_BYTES = 1 << 20
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class LabelledPhoto(NamedTuple):
    """A member of the zip, and what is on it."""

    member: str
    label: str


def read_set(path: Path, known: Collection[str], max_photo_bytes: int) -> tuple[LabelledPhoto, ...]:
    """What the zip holds, checked but not decoded. ``known``: labels that at least one version names.

    Raises InvalidField that says which line or member is wrong, and what to do.
    """
    _check_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            table = _table(archive)
            members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
            text = _read(archive, members[table], _MAX_CSV_BYTES).decode("utf-8-sig")
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise _wrong("the file is no zip, or a damaged one") from error
    except UnicodeDecodeError as error:
        raise _wrong("the CSV is not in UTF-8") from error
    folder = table.rpartition("/")[0]
    photos = [
        _checked(number, row, folder, members, known, max_photo_bytes) for number, row in _rows(text, table)
    ]
    if not photos:
        raise _wrong(f"{table} names no photo")
    return _each_once(photos, table)


def read_photo(archive: zipfile.ZipFile, member: str, max_bytes: int) -> bytes | None:
    """The bytes of one photo; None where it is damaged, or larger than it says."""
    try:
        return _read(archive, archive.getinfo(member), max_bytes)
    except (zipfile.BadZipFile, EOFError, OSError, KeyError, NotImplementedError, RuntimeError, InvalidField):
        return None


def _check_size(path: Path) -> None:
    """A directory of millions of members would be read into memory whole: count them first."""
    num_members, tail = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            window = tail + chunk
            num_members += window.count(_MEMBER)
            tail = window[-len(_MEMBER) + 1 :]
    if num_members > _MAX_MEMBERS:
        raise _wrong(f"more than {_MAX_MEMBERS:,} files in one zip; send a part of them")


def _table(archive: zipfile.ZipFile) -> str:
    """The name of the CSV. What macOS and hidden folders add is not looked at."""
    if any(PurePosixPath(name).name == bundle.SUMS for name in archive.namelist()):
        raise _wrong(
            "this is the zip of a bundle: add it as a version; here photos are judged, with a CSV of labels"
        )
    found = [
        info.filename
        for info in archive.infolist()
        if info.filename.lower().endswith(".csv")
        and not any(part.startswith((".", "__MACOSX")) for part in info.filename.split("/"))
    ]
    if len(found) != 1:
        raise _wrong(f"expected one CSV in the zip, with the columns file and label; there are {len(found)}")
    return found[0]


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> bytes:
    """A member, whatever its size is said to be."""
    if info.flag_bits & 1:
        raise _wrong(f"{info.filename} is encrypted; send the zip without a password")
    if info.compress_type not in _READABLE:
        raise _wrong(f"{info.filename} is packed in a way that is not read here; use a plain zip")
    with archive.open(info) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise _wrong(f"{info.filename} has more than {max_bytes:,} bytes")
    return data


def _rows(text: str, table: str) -> Iterator[tuple[int, tuple[str, str]]]:
    """(line, (file, label)) of each row."""
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = reader.fieldnames or ()
        missing = [name for name in ("file", "label") if name not in columns]
        if missing:
            raise _wrong(f"{table} has no column {' and no column '.join(missing)}")
        for number, row in enumerate(reader, start=2):
            if number > MAX_PHOTOS + 1:
                raise _wrong(f"more than {MAX_PHOTOS:,} photos; send a part of them")
            yield number, ((row["file"] or "").strip(), (row["label"] or "").strip())
    except csv.Error as error:
        raise _wrong(f"{table} is no CSV: {error}") from error


def _checked(
    number: int,
    row: tuple[str, str],
    folder: str,
    members: dict[str, zipfile.ZipInfo],
    known: Collection[str],
    max_photo_bytes: int,
) -> LabelledPhoto:
    """One row; its file is looked for beside the CSV, then from the top of the zip."""
    file, label = row
    member = next((name for name in (f"{folder}/{file}".lstrip("/"), file) if name in members), None)
    if member is None:
        raise _wrong(f"line {number}: there is no file {file[:200]!r} in the zip")
    if members[member].file_size > max_photo_bytes:
        raise _wrong(f"line {number}: {file[:200]!r} has more than {max_photo_bytes:,} bytes")
    if label not in known:
        near = get_close_matches(label, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise _wrong(f"line {number}: neither version knows the label {label[:200]!r}{hint}")
    return LabelledPhoto(member, label)


def _each_once(photos: Sequence[LabelledPhoto], table: str) -> tuple[LabelledPhoto, ...]:
    seen: set[str] = set()
    for photo in photos:
        if photo.member in seen:
            raise _wrong(f"{table} names {photo.member[:200]!r} twice")
        seen.add(photo.member)
    return tuple(photos)


def _wrong(message: str) -> InvalidField:
    return InvalidField.of(FIELD, message)
