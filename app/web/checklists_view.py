"""Checklists -> the view of ``/admin/checklists``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from app.db.checklist_table import ChecklistRow
from app.services.checklists import Checked
from app.web.formatting import share
from models.checklist import Expected, weeks_words
from models.words import count_words

SHOWN_UNMATCHED = 50


@dataclass(frozen=True)
class ChecklistView:
    """One list as the page shows it."""

    id: str
    name: str
    revision: int
    species: str
    where: str
    unlisted: str
    created_by: str
    created_at: datetime
    ended_by: str | None
    ended_at: datetime | None


@dataclass(frozen=True)
class ChecklistDraft:
    """What somebody wrote into the form, kept when the page comes back."""

    checklist: str = ""
    decimal_latitude: str = ""
    decimal_longitude: str = ""
    radius_km: str = ""
    unlisted: str = ""
    csv: str = ""


@dataclass(frozen=True)
class PreviewView:
    """What a list would do, before it is kept."""

    name: str
    summary: str
    when: str
    unmatched: tuple[tuple[int, str, str], ...]
    more_unmatched: str | None
    notes: tuple[str, ...]
    replaces: str | None
    replaces_id: str


@dataclass(frozen=True)
class ChecklistsView:
    """``/admin/checklists``: the lists of one model, a form for another one, and what it would match."""

    template: ClassVar[str] = "admin_checklists.html"
    title: ClassVar[str] = "Checklists"

    models: tuple[tuple[str, str, bool], ...]
    model: str
    checklists: tuple[ChecklistView, ...]
    ended: tuple[ChecklistView, ...]
    draft: ChecklistDraft
    preview: PreviewView | None
    form_token: str
    done: str | None
    refused_title: str | None
    refused_detail: tuple[str, ...]
    default_unlisted: str


def checklist_view(row: ChecklistRow) -> ChecklistView:
    """One list, its place and weights in words."""
    where = "everywhere"
    if row.radius_km is not None:
        where = f"within {row.radius_km:g} km of {row.decimal_latitude:g}, {row.decimal_longitude:g}"
    return ChecklistView(
        id=str(row.id),
        name=row.name,
        revision=row.revision,
        species=count_words(row.num_species, "species", "species"),
        where=where,
        unlisted=_unlisted(row.unlisted_weight),
        created_by=row.created_by,
        created_at=row.created_at,
        ended_by=row.ended_by,
        ended_at=row.ended_at,
    )


def _unlisted(weight: float) -> str:
    """How what is not listed is treated.

    >>> _unlisted(0.01), _unlisted(0)
    ('species it leaves out count 0.01 of one it names', 'species it leaves out are ruled out')
    """
    if weight == 0:
        return "species it leaves out are ruled out"
    return f"species it leaves out count {weight:g} of one it names"


def preview_view(checked: Checked, in_use: Sequence[ChecklistRow]) -> PreviewView:
    """What a list would match, and what it would replace."""
    num = len(checked.species.species)
    shown = checked.unmatched[:SHOWN_UNMATCHED]
    hidden = len(checked.unmatched) - len(shown)
    before = next((row for row in in_use if row.name == checked.name), None)
    return PreviewView(
        name=checked.name,
        summary=(
            f"{checked.num_matched} of its {count_words(num, 'name')} are species of version {checked.version}, "
            f"which knows {checked.num_in_model}: {share(checked.num_matched / checked.num_in_model)} of them."
        ),
        when=_when(checked.species.species),
        unmatched=tuple((each.row, each.name, ", ".join(each.nearest)) for each in shown),
        more_unmatched=f"and {count_words(hidden, 'more name')}" if hidden else None,
        notes=checked.notes,
        replaces=None
        if before is None
        else f"It will replace revision {before.revision} of the list of this name, added by {before.created_by}.",
        replaces_id=str(before.id) if before else "nothing",
    )


def _when(species: Sequence[Expected]) -> str:
    """Which weeks a list speaks of.

    >>> _when([Expected("a", (20, 21)), Expected("b")])
    '1 of the names has weeks (20-21); the others are expected all year.'
    """
    dated = [each for each in species if each.weeks]
    if not dated:
        return "No name has weeks: all are expected all year."
    weeks = weeks_words(sorted({week for each in dated for week in each.weeks}))
    has = "has" if len(dated) == 1 else "have"
    others = "" if len(dated) == len(species) else "; the others are expected all year"
    return f"{len(dated)} of the names {has} weeks ({weeks}){others}."
