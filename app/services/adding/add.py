"""Adding a version: check, put into the store, register. Whole or not at all; two at once agree on one.

The order is what makes a kill harmless. Before the bundle is in the store, nothing but a place below ``.incoming``
is left over, which the next start removes; after that it is whole there, and the next start registers it, as does the
next upload of the same bundle. Adding never deploys: not even the first version of a new model, nor does a start after
it. That is an admin's promotion.
"""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import bundles
from app.db.repositories import registry as repository
from app.db.session import Sessions, lock_database
from app.db.tables import TrustedKeyRow, VersionRow
from app.errors import AppError, Busy, Conflict, InvalidField
from app.services import registry
from app.services.adding.candidate import Candidate, checked_candidate
from app.services.adding.process import Checked, not_written
from app.services.papers import papers_of
from app.services.scan import found_of
from app.settings import Settings
from app.store.store import BundleStore, open_store
from models.card import ModelCard

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.adding")
MAX_WAITING = 4
NO_GOLDEN = (
    "It carries no golden images, so nobody compared its answers here with those where it was exported."
)
NO_PREDICTIONS = (
    "It carries no predictions, so it can be compared with other versions by its figures alone, "
    "not photo by photo."
)
UNKNOWN_SIGNER = "It is signed with a key that is not trusted here."


@dataclass(frozen=True)
class SpeciesChanges:
    """Labels that a version has and the deployed one has not, and the other way round. ``against`` None: none is."""

    against: str | None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Added:
    """A version that is registered. ``is_new`` False: the very same bundle was there already."""

    row: VersionRow
    is_new: bool
    is_deployed: bool
    signed_by: str | None
    notes: tuple[str, ...]
    species: SpeciesChanges


class Adder:
    """Adds versions, one check at a time: each may take a core and much memory."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self._settings, self._sessions = settings, sessions
        self._checking = asyncio.Lock()
        self._num_waiting = 0

    @property
    def store(self) -> BundleStore:
        """Where versions go."""
        return open_store(self._settings.store)

    def check_free(self) -> None:
        """Raises Busy where too many bundles wait already: before another one is uploaded."""
        if self._num_waiting >= MAX_WAITING:
            raise Busy(
                f"{self._num_waiting} bundles are being added already. Try again later.", retry_after_s=30
            )

    async def add(self, source: Path, place: Path, *, actor: str, model: str | None = None) -> Added:
        """Add the bundle at ``source``, a zip or a folder. ``place``: where it may be unpacked, on the store's disk.

        ``model``: the name that its card must have. Raises BundleRefused, InvalidField for another name, Conflict for
        a version that is there with other bytes, Busy, StoreUnavailable, DiskFull, InternalError.
        """
        self.check_free()
        self._num_waiting += 1
        try:
            async with self._checking:
                candidate = await checked_candidate(source, place, self._settings, await self._trusted())
            if model is not None and candidate.card.name != model:
                raise InvalidField.of("name", f"the card of this bundle says {candidate.card.name!r}")
            return await self._register(candidate, actor)
        except OSError as error:
            raise not_written(error) from error
        finally:
            self._num_waiting -= 1

    async def _trusted(self) -> dict[str, TrustedKeyRow]:
        async with self._sessions() as session:
            return await bundles.keys_by_fingerprint(session)

    async def _register(self, candidate: Candidate, actor: str) -> Added:
        """In the store first, in the database second: a row never speaks of a bundle that is not there."""
        card, sha256 = candidate.card, candidate.checked.sha256
        async with self._sessions() as session:
            await _known(session, card, sha256)
        path, is_new = await asyncio.to_thread(
            self.store.put, candidate.folder, card.name, card.version, sha256
        )
        try:
            async with self._sessions() as session:
                added = await self._row(session, candidate, path, actor)
                await session.commit()
        except Conflict:
            if is_new:
                await asyncio.to_thread(self.store.discard, path)
            raise
        return added

    async def _row(self, session: AsyncSession, candidate: Candidate, path: str, actor: str) -> Added:
        await lock_database(session)
        card, sha256 = candidate.card, candidate.checked.sha256
        row = await _known(session, card, sha256)
        is_new = row is None
        if row is None:
            found = found_of(card, sha256, path, candidate.signed_by)
            row = await registry.add_version(session, found, actor=actor)
        addition = await bundles.addition_of(session, card.name, card.version)
        row.path = path  # a version that moved to another store is added there once more
        deployed = (await registry.get_model(session, card.name)).deployed
        return Added(
            row=row,
            is_new=is_new,
            is_deployed=deployed is not None and deployed.version == card.version,
            signed_by=addition.signed_by if addition else None,
            notes=_notes(candidate.checked),
            species=SpeciesChanges(deployed.version if deployed else None),
        )

    async def with_species(self, added: Added) -> Added:
        """The same with what changes in the species list, as far as the deployed bundle can be read."""
        async with self._sessions() as session:
            changes = await species_changes(session, self._settings, added.row)
        return replace(added, species=changes)


async def species_changes(session: AsyncSession, settings: Settings, row: VersionRow) -> SpeciesChanges:
    """What a version's species list has and lacks against the deployed version's. Raises NotFound."""
    deployed = (await registry.get_model(session, row.model)).deployed
    if deployed is None or deployed.version == row.version:
        return SpeciesChanges(None)
    try:
        old = await papers_of(
            settings.store, await registry.get_version(session, row.model, deployed.version)
        )
        new = await papers_of(settings.store, row)
    except AppError:  # it is added all the same; the page of the models says which bundle is damaged
        return SpeciesChanges(None)
    before, after = ([taxon.label for taxon in papers.card.taxa] for papers in (old, new))
    return SpeciesChanges(
        deployed.version,
        added=tuple(label for label in after if label not in set(before)),
        removed=tuple(label for label in before if label not in set(after)),
    )


async def _known(session: AsyncSession, card: ModelCard, sha256: str) -> VersionRow | None:
    """The version if it is registered with this hash. Raises Conflict where it has another one."""
    row = await repository.version_of(session, card.name, card.version)
    if row is not None and row.sha256 != sha256:
        raise Conflict(
            f"{card.name} {card.version} is there already with other content (SHA-256 {row.sha256[:12]}…, this one "
            f"has {sha256[:12]}…). Versions are immutable: give this bundle another version."
        )
    return row


def _notes(checked: Checked) -> tuple[str, ...]:
    """What an admin should know of a bundle that is good all the same."""
    notes = {
        UNKNOWN_SIGNER: checked.is_signed and checked.signed_by is None,
        NO_GOLDEN: not checked.has_golden,
        NO_PREDICTIONS: not checked.has_predictions,
    }
    return tuple(note for note, holds in notes.items() if holds)
