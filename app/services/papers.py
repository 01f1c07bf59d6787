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


def read_registered(store: Path, path: str, sha256: str) -> Bundle:
    """The bundle that was registered, verified. Raises BundleError when it is not (any more) that one."""
    good = bundle.read(store / path)
    if good.sha256 != sha256:
        raise BundleError(f"{bundle.SUMS}: is not the one that was registered; versions are immutable")
    return good


async def papers_of(store: Path, row: VersionRow) -> Papers:
    """What the bundle of a version says of it. Raises InternalError when its bundle changed or is gone."""
    return await _reading(row, _papers, store)


async def verify(store: Path, row: VersionRow) -> None:
    """Raises InternalError when the bundle of a version changed or is gone."""
    await _reading(row, read_registered, store)


async def _reading(row: VersionRow, read: Callable[[Path, str, str], _Read], store: Path) -> _Read:
    try:
        return await asyncio.to_thread(read, store, row.path, row.sha256)
    except (BundleError, OSError) as error:
        log.error("a bundle cannot be read", bundle=row.path, fault=str(error))
        raise InternalError(f"The bundle of {row.model} {row.version} is damaged or gone.") from error


@lru_cache(maxsize=16)
def _papers(store: Path, path: str, sha256: str) -> Papers:
    good = read_registered(store, path, sha256)
    return Papers(good.card, good.evaluation, good.evaluation_sha256, good.predictions)
