"""The re-encoded photos on disk, named by their content. Knows no identification and no HTTP."""

import asyncio
import errno
import hashlib
import os
import re
from pathlib import Path
from uuid import uuid4

from app.errors import DiskFull

_NAME = re.compile(r"^[0-9a-f]{2}/[0-9a-f]{64}\.jpg$")
_FULL = (errno.ENOSPC, errno.EDQUOT)


class PhotoFiles:
    """Photos in ``folder``/<first two digits>/<sha256>.jpg. One that was kept survives a power cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, jpeg: bytes) -> str:
        """Store a photo durably and return its name. Raises DiskFull."""
        try:
            return await asyncio.to_thread(self._keep, jpeg)
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFull(
                    "The disk is full, so the photo could not be saved; nothing was answered."
                ) from error
            raise

    def path(self, name: str) -> Path | None:
        """Where a kept photo lies; None where it is not there (any more)."""
        if not _NAME.match(name):
            return None
        path = self._folder / name
        return path if path.is_file() else None

    def _keep(self, jpeg: bytes) -> str:
        sha256 = hashlib.sha256(jpeg).hexdigest()
        name = f"{sha256[:2]}/{sha256}.jpg"
        path = self._folder / name
        if not path.exists():
            if not path.parent.is_dir():
                _make_folders(self._folder)
            _write_durably(path, jpeg)
        return name


def _make_folders(folder: Path) -> None:
    """All 256 at once: later photos then pay for themselves only."""
    _make_folder(folder)
    for prefix in range(256):
        (folder / f"{prefix:02x}").mkdir(exist_ok=True)
    _sync_folder(folder)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _write_durably(path: Path, content: bytes) -> None:
    """Whole or not at all: content, then name, each on the disk before this returns."""
    staging = path.with_name(f".part-{uuid4().hex}")
    try:
        descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 (a descriptor, not a path)
            file.write(content)
            os.fsync(descriptor)
        staging.replace(path)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
