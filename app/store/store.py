"""What a store of bundles does, whichever kind it is, and how the one of the settings is opened."""

from functools import lru_cache
from pathlib import Path
from typing import Protocol

from app.settings import S3Place
from app.store.folder import FolderStore
from app.store.s3 import S3Store


class BundleStore(Protocol):
    """Bundles by their path in the store, which the registry keeps with the hash of each."""

    @property
    def incoming(self) -> Path:
        """Folder for what is not in the store yet, on the same disk as what is."""
        ...

    def folder(self, path: str, sha256: str) -> Path:
        """The folder of a bundle on this machine, fetched if need be; who reads it verifies it.

        Raises StoreUnavailable, OSError, or BundleError where what was fetched is another bundle.
        """
        ...

    def put(self, bundle: Path, name: str, version: str, sha256: str) -> tuple[str, bool]:
        """Move a verified bundle's folder from ``incoming`` into the store, whole; its path there, whether it is new.

        The same bundle again changes nothing. Raises Conflict for another one, StoreUnavailable, OSError.
        """
        ...

    def discard(self, path: str) -> None:
        """Take a bundle back that ``put`` has just put there and nobody registered."""
        ...

    def forget(self, sha256: str) -> bool:
        """Drop a copy of a bundle that turned out to be damaged. False where there are no copies."""
        ...


@lru_cache(maxsize=8)
def open_store(place: Path | S3Place) -> BundleStore:
    """The store at a place of the settings. Touches nothing yet."""
    return S3Store(place) if isinstance(place, S3Place) else FolderStore(place)
