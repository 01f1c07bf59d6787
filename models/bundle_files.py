"""A bundle's files out of a zip or a folder that somebody gave us, into a new folder of ours. Trusts nothing.

What is written is named by us: a name out of a zip chooses among the files that a bundle may have, and becomes no
path. ``models.bundle.read`` then says whether these files are a bundle.
"""

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from models.bundle import MAX_BYTES, BundleError

MAX_ENTRIES = 64
MAX_RATIO = 200
"""Unpacked bytes for each packed one, from a megabyte up. Text of an evaluation has 10 to 30; zeros have 1,000."""

_FREE_BYTES = 1_000_000
_CHUNK_BYTES = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpack(archive: Path, out: Path, *, max_bytes: int) -> None:
    """Write the files of a bundle's zip to the new folder ``out``. Raises BundleError that names the entry.

    The files lie at the top of the zip, or all in one folder. ``max_bytes``: of all of them together.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = _checked(opened.infolist(), max_bytes)
            out.mkdir(parents=True)
            for name, entry in entries.items():
                with opened.open(entry) as source:
                    _write(source, out / name, name, entry.file_size)
    except zipfile.BadZipFile as error:
        fault = "is damaged" if "CRC" in str(error) else "is not a zip file, or is cut off"
        raise BundleError(f"the bundle: {fault} ({error})") from error
    except (zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
        raise BundleError(f"the bundle: cannot be unpacked ({type(error).__name__}: {error})") from error


def copy(folder: Path, out: Path, *, max_bytes: int) -> None:
    """Copy the files of a bundle's folder to the new folder ``out``. Raises BundleError, OSError."""
    names = sorted(entry.name for entry in folder.iterdir())
    _check_names(names)
    sizes = {name: (folder / name).lstat() for name in names}
    if irregular := [name for name, found in sizes.items() if not stat.S_ISREG(found.st_mode)]:
        raise BundleError(f"{irregular[0]}: is not a plain file")
    _check_sizes({name: found.st_size for name, found in sizes.items()}, max_bytes)
    out.mkdir(parents=True)
    for name in names:
        with (folder / name).open("rb") as source:
            _write(source, out / name, name, sizes[name].st_size)


def _checked(entries: Sequence[zipfile.ZipInfo], max_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by the names of the bundle's files. Nothing is unpacked for it."""
    if len(entries) > MAX_ENTRIES:
        raise BundleError(f"the bundle: holds {len(entries):,} entries; at most {MAX_ENTRIES} are read")
    for entry in entries:
        _check_entry(entry)
    files = [entry for entry in entries if not entry.is_dir()]
    folders = {entry.filename.rpartition("/")[0] for entry in files}
    if len(folders) > 1:
        raise BundleError(f"{_shown(files[-1].filename)}: lies in another folder than the rest of the bundle")
    names = [entry.filename.rpartition("/")[2] for entry in files]
    _check_names(names)
    _check_sizes({name: entry.file_size for name, entry in zip(names, files, strict=True)}, max_bytes)
    for entry in files:
        _check_ratio(entry)
    return dict(zip(names, files, strict=True))


def _check_entry(entry: zipfile.ZipInfo) -> None:
    """Raises BundleError for a path that leads elsewhere, and for what is no plain file."""
    if fault := _path_fault(entry.filename, entry.orig_filename) or _kind_fault(entry):
        raise BundleError(f"{_shown(entry.orig_filename)}: {fault}")


def _path_fault(path: str, original: str) -> str | None:
    """What is wrong with a path. ``original``: as it stands in the zip, before the library tidies it.

    >>> _path_fault("../card.json", "../card.json")
    "leads out of the bundle with '..'"
    """
    parts = path.removesuffix("/").split("/")
    if path.startswith("/") or path[1:2] == ":":
        return "is an absolute path"
    if ".." in parts:
        return "leads out of the bundle with '..'"
    if "\\" in original or "\0" in original or not path.isprintable():
        return "has a character that belongs in no file name here"
    if "" in parts or "." in parts or len(parts) > 2:
        return "lies in folders within folders; a bundle's files lie side by side"
    return None


def _kind_fault(entry: zipfile.ZipInfo) -> str | None:
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a plain file"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if entry.compress_type not in _METHODS:
        return "is packed with another method than deflate"
    return None


def _check_names(names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.get(name.casefold())) is not None:
            fault = "is there twice" if other == name else f"differs from {other} by case alone"
            raise BundleError(f"{_shown(name)}: {fault}")
        seen[name.casefold()] = name
        if name not in MAX_BYTES:
            raise BundleError(f"{_shown(name)}: does not belong in a bundle")


def _check_sizes(sizes: dict[str, int], max_bytes: int) -> None:
    for name, size in sizes.items():
        if size > MAX_BYTES[name]:
            raise BundleError(f"{name}: has {size:,} bytes; at most {MAX_BYTES[name]:,} are read")
    if (total := sum(sizes.values())) > max_bytes:
        raise BundleError(f"the bundle: unpacks to {total:,} bytes; at most {max_bytes:,} are taken here")


def _check_ratio(entry: zipfile.ZipInfo) -> None:
    if entry.file_size > _FREE_BYTES and entry.file_size > MAX_RATIO * entry.compress_size:
        raise BundleError(
            f"{_shown(entry.filename)}: unpacks to more than {MAX_RATIO} times its size, as zip bombs do"
        )


def _write(source: IO[bytes], target: Path, name: str, size: int) -> None:
    """Write exactly ``size`` bytes to a file that is not there yet, and see that they are on the disk."""
    written = 0
    with target.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > size:
                break
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if written != size:
        raise BundleError(f"{name}: has other than the {size:,} bytes that were announced")


def _shown(name: str) -> str:
    """A name from outside, for a sentence: printable and short.

    >>> _shown("a\\nb" + "c" * 300)[:8]
    "'a\\\\nbccc"
    """
    return name if name.isprintable() and len(name) <= 100 else repr(name[:100])
