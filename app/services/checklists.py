"""Checklists of a model: checked against its species, added, replaced and ended by admins. Never commits."""

import asyncio
import hashlib
import unicodedata
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.checklist_table import ChecklistRow
from app.db.repositories import checklists
from app.db.session import lock_database
from app.db.tables import utc_now
from app.errors import Conflict, FieldError, InvalidField, NotFound
from app.services.papers import papers_of
from app.services.registry import get_model
from app.settings import Settings
from models.card import ModelCard
from models.checklist import BadChecklist, Checklist, parse_checklist
from models.place import Place
from models.target_prior import UNLISTED, Unmatched, match_species, nearest_names

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.lists")
MAX_NAME, MAX_LISTS = 100, 200
NO_LIST, ANY_LIST = "none", "auto"
RESERVED = (NO_LIST, ANY_LIST)
"""What a request says instead of a name."""

Replaces = UUID | Literal["nothing", "whatever"]
"""The list that a new one of its name may end: the one that somebody looked at, or none, or whichever is in use."""


@dataclass(frozen=True)
class Draft:
    """A list as somebody sends it. ``place`` None: everywhere. ``unlisted_weight`` 0 excludes what is not listed."""

    name: str
    data: bytes
    place: Place | None = None
    unlisted_weight: float = UNLISTED


@dataclass(frozen=True)
class Checked:
    """What a list would do: against which version, how many names match, and what a person should look at."""

    name: str
    species: Checklist
    version: str
    num_matched: int
    num_in_model: int
    unmatched: tuple[Unmatched, ...]
    notes: tuple[str, ...]


async def check(session: AsyncSession, settings: Settings, model: str, draft: Draft) -> Checked:
    """Read a list and match it with the species of the version that speaks for the model; changes nothing.

    Raises NotFound, and InvalidField for a name or a file that is not right, with the rows at fault.
    """
    name = list_name(draft.name)
    if not 0 <= draft.unlisted_weight <= 1:
        raise InvalidField.of("unlisted_weight", "expected a number from 0 to 1")
    shown = (await get_model(session, model)).shown
    card = (await papers_of(settings.store, shown)).card
    return await asyncio.to_thread(_check, name, draft, card)


def _check(name: str, draft: Draft, card: ModelCard) -> Checked:
    try:
        species = parse_checklist(draft.data)
    except BadChecklist as error:
        faults = [FieldError("file", str(fault)) for fault in error.faults]
        raise InvalidField(f"The list cannot be used: {error}", errors=faults) from error
    matched = match_species(species.species, card.taxa)
    unmatched = nearest_names(matched.unmatched, card.taxa)
    if not matched.place_M.size:
        near = next((f"; did you mean {each.nearest[0]}?" for each in unmatched if each.nearest), "")
        raise InvalidField.of("file", f"none of its names is a species of {card.name} {card.version}{near}")
    notes = [
        f"row {again.row}: {again.name} is the same species as {first.name} in row {first.row}; row {first.row} counts"
        for first, again in matched.twice
    ]
    if species.ignored_columns:
        notes.append(f"columns that are not read: {', '.join(species.ignored_columns)}"[:500])
    if card.logit_prior == "partial":
        notes.append(
            "the model may lean towards species that it saw many photos of, and nobody knows how far; half of that is "
            "taken out before the list counts"
        )
    if draft.place is None and not any(each.weeks for each in species.species):
        notes.append("it has neither a place nor weeks, so it is used only by a request that names it")
    if not (matched.weight_M > 0).any():
        raise InvalidField.of("file", "every weight is 0: it expects nothing anywhere")
    return Checked(
        name=name,
        species=species,
        version=card.version,
        num_matched=matched.place_M.size,
        num_in_model=card.num_classes,
        unmatched=unmatched,
        notes=tuple(notes),
    )


def one_form(name: str) -> str:
    """A name as it is kept, however the spaces and the accents of it were typed.

    >>> one_form("Zu\u0308rich  city") == "Z\u00fcrich city"
    True
    """
    return unicodedata.normalize("NFC", " ".join(name.split()))


def list_name(name: str) -> str:
    """A list's name as it is kept. Raises InvalidField.

    >>> list_name("  Alpine   meadow ")
    'Alpine meadow'
    """
    plain = one_form(name)
    if not 1 <= len(plain) <= MAX_NAME or not plain.isprintable():
        raise InvalidField.of("checklist", f"expected a name of 1 to {MAX_NAME} printable characters")
    if plain.lower() in RESERVED:
        raise InvalidField.of("checklist", f"{plain!r} has a meaning in requests; take another name")
    return plain


async def add(
    session: AsyncSession, settings: Settings, model: str, draft: Draft, *, actor: str, replaces: Replaces
) -> tuple[ChecklistRow, Checked]:
    """Keep a list and use it from now on; one of the same name ends where ``replaces`` says so.

    Raises what ``check`` raises, and Conflict for a name that is in use, another list in use than was to be replaced,
    or too many lists.
    """
    checked = await check(session, settings, model, draft)
    await lock_database(session)
    in_use = await checklists.of_model(session, model)
    before = next((row for row in in_use if row.name == checked.name), None)
    _check_replaced(model, checked.name, before, replaces)
    if before is None and len(in_use) >= MAX_LISTS:
        raise Conflict(f"{model} has {MAX_LISTS} lists, the most that are kept in use; delete one first.")
    if before is not None:
        await checklists.end(session, before.id, actor, utc_now())
    row = await _row(session, model, draft, checked, actor)
    session.add(row)
    await session.flush()
    log.info("checklist added", model=model, list=row.name, revision=row.revision, actor=actor)
    return row, checked


def _check_replaced(model: str, name: str, before: ChecklistRow | None, replaces: Replaces) -> None:
    """Raises Conflict where the list in use is not the one that was looked at."""
    if replaces == "whatever" or (before.id if before else "nothing") == replaces:
        return
    if before is None:
        raise Conflict(f"No list named {name!r} is in use that could be replaced. Look again.")
    raise Conflict(
        f"There is a list named {name!r} for {model} already: revision {before.revision}, added by {before.created_by} "
        f"on {before.created_at:%Y-%m-%d}. Look at it, then say that it is to be replaced, or take another name."
    )


async def _row(session: AsyncSession, model: str, draft: Draft, checked: Checked, actor: str) -> ChecklistRow:
    content, place = checked.species.csv(), draft.place
    return ChecklistRow(
        model=model,
        name=checked.name,
        revision=await checklists.newest_revision(session, model, checked.name) + 1,
        content=content,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        num_species=len(checked.species.species),
        unlisted_weight=draft.unlisted_weight,
        decimal_latitude=place and place.decimal_latitude,
        decimal_longitude=place and place.decimal_longitude,
        radius_km=place and place.radius_km,
        created_by=actor,
        created_at=utc_now(),
    )


async def lists_of(session: AsyncSession, model: str, *, ended: bool = False) -> list[ChecklistRow]:
    """The lists of a model in use, or all that ever were. Raises NotFound."""
    await get_model(session, model)
    return await checklists.of_model(session, model, ended=ended)


async def get_list(session: AsyncSession, model: str, list_id: UUID) -> ChecklistRow:
    """One list of a model, in use or not. Raises NotFound."""
    row = await checklists.by_id(session, model, list_id)
    if row is None:
        raise NotFound(f"There is no such list of {model}.")
    return row


async def end(session: AsyncSession, model: str, list_id: UUID, actor: str) -> ChecklistRow:
    """Use a list no more; answers keep naming it. Raises NotFound, or Conflict when it was not in use."""
    row = await get_list(session, model, list_id)
    if not await checklists.end(session, list_id, actor, utc_now()):
        raise Conflict(f"{row.name!r}, revision {row.revision}, is not in use any more.")
    log.info("checklist ended", model=model, list=row.name, revision=row.revision, actor=actor)
    return row


async def end_named(session: AsyncSession, model: str, name: str, actor: str) -> ChecklistRow:
    """Use the list of this name no more. Raises NotFound, which names those in use."""
    in_use = await lists_of(session, model)
    for row in in_use:
        if row.name == one_form(name):
            return await end(session, model, row.id, actor)
    names = ", ".join(row.name for row in in_use) or "none"
    raise NotFound(f"{model} has no list named {name!r} in use; there is {names}.")
