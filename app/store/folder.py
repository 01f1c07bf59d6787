"""A store that is a folder: ``<name>/<version>/``, each written once and whole."""

import errno
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from app.errors import Conflict, StoreUnavailable
from models.bundle import SUMS

READ_ONLY = (
    "The service may not write into its store, so it cannot add a version. Make the folder of LIGHTTRAP_STORE "
    "writable for it."
)


@dataclass(frozen=True)
class FolderStore:
    """Bundles in folders below ``root``."""

    root: Path

    @property
    def incoming(self) -> Path:
        """Where bundles wait that are not added yet."""
        return self.root / ".incoming"

    def folder(self, path: str, sha256: str) -> Path:
        """Where the bundle lies. It may be gone or changed: who reads it finds out."""
        return self.root / path

    def put(self, bundle: Path, name: str, version: str, sha256: str) -> tuple[str, bool]:
        """One rename: of two at once, one finds the other's there. Raises Conflict, StoreUnavailable, OSError."""
        target, is_new = self.root / name / version, False
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():  # an empty folder would be taken for nothing there
                bundle.rename(target)
                is_new = True
                sync_folder(target.parent)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise StoreUnavailable(READ_ONLY) from error
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        sums = target / SUMS
        if not sums.is_file() or hashlib.sha256(sums.read_bytes()).hexdigest() != sha256:
            raise Conflict(
                f"Another bundle lies in the store as {name} {version}. Versions are immutable: give this one "
                "another version."
            )
        return f"{name}/{version}", is_new

    def discard(self, path: str) -> None:
        """Remove the folder."""
        shutil.rmtree(self.root / path, ignore_errors=True)

    def forget(self, sha256: str) -> bool:
        """There are no copies: what lies here is the bundle."""
        return False


def sync_folder(folder: Path) -> None:
    """See that the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
