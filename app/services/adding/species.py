"""Adding a species to a model without training: photos -> embeddings -> the next version, added as every other one.

The photos are looked at here and nowhere kept. What is written before the version is whole lies in a place below
``.incoming``, so a kill leaves nothing behind.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from app.db.session import Sessions
from app.db.tables import VersionRow, utc_now
from app.errors import Conflict, InvalidField
from app.inference.decode import DecodePool
from app.inference.session import OnnxSession
from app.services import registry
from app.services.adding.add import Added, Adder
from app.services.adding.process import not_written
from app.services.decoding import decode_photo
from app.services.papers import bundle_of, papers_of
from app.settings import Settings
from app.store.incoming import new_place
from models import adding
from models.bundle import Bundle
from models.card import ModelCard, is_version, version_key
from models.taxonomy import Taxon

T = TypeVar("T")
_MAX_TRIES = 5
MUST_BE_SIGNED = (
    "This installation takes signed bundles only, and a version that is made here has no signature. Make it "
    "elsewhere with `python -m app model add-species … --out FOLDER`, sign it, and add it."
)


@dataclass(frozen=True)
class NamedPhoto:
    """A photo as it was sent, and what to call it where it is refused."""

    name: str
    data: bytes


@dataclass(frozen=True)
class WantedSpecies:
    """A species to add to a model. ``base`` and ``version`` None: chosen here; label, genus and family: derived."""

    model: str
    name: str
    photos: tuple[NamedPhoto, ...]
    label: str | None = None
    genus: str | None = None
    family: str | None = None
    vernacular_name: str | None = None
    base: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class AddedSpecies:
    """What was added to which version, and the version that has it."""

    taxon: Taxon
    num_photos: int
    base: str
    version: Added


class _Looked(NamedTuple):
    """A wanted species beside the version to add it to: photos of it are fine, and the network has seen them."""

    base: Bundle
    taxon: Taxon
    photo_sha256: tuple[str, ...]
    embeddings: NDArray[np.float32]


class SpeciesAdder:
    """Makes versions with one species more. Decodes photos as an identification does."""

    def __init__(self, settings: Settings, sessions: Sessions, adder: Adder, decoder: DecodePool) -> None:
        self._settings, self._sessions = settings, sessions
        self._adder, self._decoder = adder, decoder

    async def add(self, wanted: WantedSpecies, *, actor: str) -> AddedSpecies:
        """Add the species as a new version, which nobody is answered with until it is promoted.

        Raises NotFound, InvalidField, Conflict, what ``decode_photo`` raises, and what ``Adder.add`` raises.
        """
        if self._settings.require_signature:
            raise Conflict(MUST_BE_SIGNED)
        self._adder.check_free()
        looked: _Looked | None = None
        taken: list[str] = []
        while True:
            row, version = await self._choose(wanted, taken)
            if looked is None or looked.base.card.version != row.version:  # another species came in between
                looked = await self._look(wanted, row)
            made = _made(looked, version)
            try:
                added = await self._add(made, actor)
            except Conflict:  # taken a moment ago, or by a bundle in the store that the next start registers
                taken.append(version)
                if wanted.version is not None or len(taken) == _MAX_TRIES:
                    raise
                continue
            return AddedSpecies(looked.taxon, len(wanted.photos), row.version, added)

    async def write(self, wanted: WantedSpecies, out: Path) -> Bundle:
        """Write the version's bundle below ``out``; it is added to nothing. Raises as ``add``, and FileExistsError."""
        row, version = await self._choose(wanted, ())
        made = _made(await self._look(wanted, row), version)
        return await asyncio.to_thread(made.write, out / made.card.name / made.card.version)

    async def _choose(self, wanted: WantedSpecies, taken: Sequence[str]) -> tuple[VersionRow, str]:
        """The version to add to and the name of the new one, by one reading of what there is.

        So two species that are added at once want the same version: the second is told, and is added to the first.
        """
        if wanted.version is not None and not is_version(wanted.version):
            raise InvalidField.of("version", "expected three numbers such as 1.4.0")
        async with self._sessions() as session:
            found = await registry.get_model(session, wanted.model)
            deployed = found.deployed.version if found.deployed else found.versions[-1].version
            row = (
                await registry.get_version(session, wanted.model, wanted.base)
                if wanted.base is not None
                else await self._newest_of(found.versions, deployed)
            )
        names = [each.version for each in found.versions]
        if wanted.version is None:
            return row, adding.next_minor(row.version, [*names, *taken])
        if wanted.version in names:
            raise Conflict(
                f"{wanted.model} {wanted.version} is there already. Versions are immutable: choose another one."
            )
        return row, wanted.version

    async def _look(self, wanted: WantedSpecies, row: VersionRow) -> _Looked:
        """Everything that can be refused, cheapest first, and what the network says of the photos."""
        base = await bundle_of(self._settings.store, row)
        _or_refuse("model", lambda: adding.check_addable(base))
        taxon = _or_refuse("name", lambda: _taxon(base.card, wanted))
        hashes = [hashlib.sha256(photo.data).hexdigest() for photo in wanted.photos]
        _or_refuse("image", lambda: adding.check_photos(base, hashes))
        embeddings = await asyncio.to_thread(_embeddings, base, await self._pixels(base.card, wanted.photos))
        return _Looked(base, taxon, tuple(hashes), embeddings)

    async def _newest_of(self, rows: Sequence[VersionRow], deployed: str) -> VersionRow:
        """The newest version that came of the deployed one by adding species, so that two added ones meet in one."""
        line = {deployed: next(row for row in rows if row.version == deployed)}
        for row in sorted(rows, key=lambda row: version_key(row.version)):
            if version_key(row.version) > version_key(deployed):
                prototypes = (await papers_of(self._settings.store, row)).card.prototypes
                if prototypes and prototypes[-1].base_version in line:
                    line[row.version] = row
        return line[max(line, key=version_key)]

    async def _pixels(self, card: ModelCard, photos: Sequence[NamedPhoto]) -> list[NDArray[np.uint8]]:
        """All photos decoded, or the first one's refusal once none is at work any more."""
        decoding = (
            decode_photo(self._decoder, photo.data, card.preprocessing, f"{photo.name}: ") for photo in photos
        )
        pixels: list[NDArray[np.uint8]] = []
        for found in await asyncio.gather(*decoding, return_exceptions=True):
            if isinstance(found, BaseException):
                raise found
            pixels.append(found.pixels)
        return pixels

    async def _add(self, made: adding.NextVersion, actor: str) -> Added:
        try:
            with new_place(self._adder.store.incoming) as place:
                source = place / "made"
                await asyncio.to_thread(made.write, source)
                added = await self._adder.add(source, place, actor=actor, model=made.card.name)
                return await self._adder.with_species(added)
        except OSError as error:
            raise not_written(error) from error


def _made(looked: _Looked, version: str) -> adding.NextVersion:
    return _or_refuse(
        "version",
        lambda: adding.with_species(
            looked.base,
            looked.taxon,
            looked.embeddings,
            looked.photo_sha256,
            version=version,
            added_at=utc_now(),
        ),
    )


def _taxon(card: ModelCard, wanted: WantedSpecies) -> Taxon:
    try:
        return adding.species_taxon(
            card.taxa,
            wanted.name,
            label=wanted.label,
            genus=wanted.genus,
            family=wanted.family,
            vernacular_name=wanted.vernacular_name,
        )
    except adding.NameTaken as taken:
        told = f"{taken} of {card.version}. {_what_to_do(card, taken.label)}"
        raise adding.WrongField(taken.field, told) from taken


def _what_to_do(card: ModelCard, label: str) -> str:
    prototype = card.prototype(label)
    if prototype is None:
        return "It was trained: more photos help it in a new training, not here"
    return (
        f"To make it from other photos, give all of them and the version before it as the base: "
        f"{prototype.base_version}"
    )


def _or_refuse(field: str, act: Callable[[], T]) -> T:
    """What it gives. ``field``: what is wrong where the error does not name a field of its own. Raises InvalidField."""
    try:
        return act()
    except ValidationError as error:  # a ValueError whose text is for programmers
        words = (str(fault["msg"]).removeprefix("Value error, ") for fault in error.errors())
        raise InvalidField.of(field, "; ".join(words)) from error
    except adding.WrongField as error:
        raise InvalidField.of(error.field, str(error)) from error
    except ValueError as error:
        raise InvalidField.of(field, str(error)) from error


def _embeddings(base: Bundle, photos: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """One photo a run, as an identification on the CPU does."""
    session = OnnxSession(base.onnx, size_px=base.card.preprocessing.size_px, provider="cpu")
    return np.concatenate([session.run(pixels[None]).embedding for pixels in photos])
