"""What the bundle of a registered version says of it, read once and verified each time it is read."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import structlog

from app.db.tables import VersionRow
from app.errors import InternalError
from app.settings import S3Place
from app.store.store import open_store
from models import bundle
from models.bundle import Bundle, BundleError
from models.card import ModelCard
from models.comparison import Measured
from models.metrics import Evaluation
from models.predictions import Predictions

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.registry")
_Read = TypeVar("_Read")


@dataclass(frozen=True, eq=False)
class Papers:
    """What a bundle says of its version, without the network. Read once, so that it is its own key in a cache."""

    card: ModelCard
    evaluation: Evaluation
    evaluation_sha256: str
    predictions: Predictions | None

    @property
    def measured(self) -> Measured:
        """What two versions are compared by."""
        return Measured(self.evaluation, self.predictions)


def read_registered(store: Path | S3Place, path: str, sha256: str) -> Bundle:
    """The bundle that was registered, verified. Raises BundleError when it is not (any more) that one.

    A copy of it that is damaged is fetched anew, once. Raises StoreUnavailable where it cannot be fetched.
    """
    opened = open_store(store)
    try:
        return _read(opened.folder(path, sha256), sha256)
    except BundleError:
        if not opened.forget(sha256):
            raise
        return _read(opened.folder(path, sha256), sha256)


def _read(folder: Path, sha256: str) -> Bundle:
    good = bundle.read(folder)
    if good.sha256 != sha256:
        raise BundleError(f"{bundle.SUMS}: is not the one that was registered; versions are immutable")
    return good


async def papers_of(store: Path | S3Place, row: VersionRow) -> Papers:
    """What the bundle of a version says of it. Raises InternalError when its bundle changed or is gone."""
    return await _reading(row, _papers, store)


async def bundle_of(store: Path | S3Place, row: VersionRow) -> Bundle:
    """The bundle of a version, verified. Raises InternalError when it changed or is gone."""
    return await _reading(row, read_registered, store)


async def verify(store: Path | S3Place, row: VersionRow) -> Path:
    """Its folder on this machine. Raises InternalError when the bundle of a version changed or is gone."""
    return (await bundle_of(store, row)).path


async def _reading(
    row: VersionRow, read: Callable[[Path | S3Place, str, str], _Read], store: Path | S3Place
) -> _Read:
    try:
        return await asyncio.to_thread(read, store, row.path, row.sha256)
    except (BundleError, OSError) as error:
        log.error("a bundle cannot be read", bundle=row.path, fault=str(error))
        raise InternalError(f"The bundle of {row.model} {row.version} is damaged or gone.") from error


@lru_cache(maxsize=16)
def _papers(store: Path | S3Place, path: str, sha256: str) -> Papers:
    good = read_registered(store, path, sha256)
    return Papers(good.card, good.evaluation, good.evaluation_sha256, good.predictions)
