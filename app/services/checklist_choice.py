"""Which checklist holds for a request, and what it makes of an answer. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidField
from app.services.answer_parts.checklist import ChecklistUse, ListedName
from app.services.checklists import ANY_LIST, NO_LIST
from app.services.sighting import Position
from models.card import ModelCard
from models.checklist import Expected
from models.decision import percent
from models.exclusion import contradicts, ruled_out
from models.place import Place
from models.target_prior import (
    PRIOR_POWER,
    Matched,
    exchange_prior,
    expected_now,
    log_prior_left,
    target_shares,
)

Basis = Literal["place", "season", "name"]


@dataclass(frozen=True, eq=False)
class ActiveChecklist:
    """A list in use. Lists are immutable, so one object is one list for as long as it is kept."""

    id: UUID
    model: str
    name: str
    revision: int
    created_at: datetime
    place: Place | None
    unlisted_weight: float
    species: tuple[Expected, ...] = field(repr=False)

    @property
    def has_weeks(self) -> bool:
        """Whether it says when any of its species is expected."""
        return any(each.weeks for each in self.species)


@dataclass(frozen=True)
class Chosen:
    """The list that holds for a request, why, and the ISO week of its photo where that is known."""

    active: ActiveChecklist
    basis: Basis
    week: int | None


@dataclass(frozen=True, eq=False)
class Weighed:
    """Probabilities [C] under a list, what it rules out (bool [C]), and what to say of it."""

    after: NDArray[np.float64]
    ruled_out: NDArray[np.bool_]
    use: ChecklistUse


def check_asked(lists: Sequence[ActiveChecklist], asked: str | None, model: str) -> None:
    """Raises InvalidField where a request names a list that the model does not have."""
    if asked is None or asked in (NO_LIST, ANY_LIST) or any(each.name == asked for each in lists):
        return
    names = ", ".join([ANY_LIST, NO_LIST, *(each.name for each in lists)])
    raise InvalidField.of("prior", f"{model} has no checklist named {asked!r}; there is {names}"[:1000])


def choose(
    lists: Sequence[ActiveChecklist],
    asked: str | None,
    positions: Sequence[Position],
    week: int | None,
) -> Chosen | None:
    """The list that was named; else the smallest circle that holds all positions; else, with a date, a list of weeks
    without a place. Of equals the newest. None where none holds, or none is wanted.
    """
    if asked == NO_LIST:
        return None
    if asked not in (None, ANY_LIST):
        return next((Chosen(each, "name", week) for each in lists if each.name == asked), None)
    newest_first = sorted(lists, key=lambda each: each.created_at, reverse=True)
    if positions:
        here = [
            each
            for each in newest_first
            if each.place and all(each.place.holds(*place) for place in positions)
        ]
        if here:
            return Chosen(min(here, key=_radius), "place", week)
    if week is not None:
        seasonal = (each for each in newest_first if each.place is None and each.has_weeks)
        return next((Chosen(each, "season", week) for each in seasonal), None)
    return None


def _radius(each: ActiveChecklist) -> float:
    assert each.place is not None
    return each.place.radius_km


def apply_checklist(
    chosen: Chosen,
    matched: Matched,
    card: ModelCard,
    learnt_counts: NDArray[np.int64],
    before: NDArray[np.float64],
) -> Weighed:
    """Calibrated probabilities [C] under the chosen list. ``matched``: the list beside the card; ``learnt_counts``: the
    card's.

    A list that expects none of the model's species in that week changes nothing, and the answer says so.
    """
    active = chosen.active
    target = target_shares(matched, chosen.week, active.unlisted_weight)
    after, out = before, np.zeros(len(before), dtype=bool)
    if target is not None:
        after = exchange_prior(before, log_prior_left(card.logit_prior, learnt_counts), target)
        out = ruled_out(target)
    first, last = int(before.argmax()), int(after.argmax())
    top_before, top_after = (_name(card, place, before, after) for place in (first, last))
    num_expected = int(expected_now(matched, chosen.week).sum())
    use = ChecklistUse(
        id=active.id,
        name=active.name,
        revision=active.revision,
        basis=chosen.basis,
        week=chosen.week,
        applied=target is not None,
        num_expected=num_expected,
        prior_power_removed=PRIOR_POWER[card.logit_prior],
        top_before=top_before,
        top_after=top_after,
        probability_ruled_out=None if target is None else min(1.0, float(before[out].sum())),
        contradicts_photo=contradicts(before, after, out),
        reason=_reason(chosen, card, num_expected, top_before, top_after),
    )
    return Weighed(after, out, use)


def _name(card: ModelCard, place: int, before: NDArray[np.float64], after: NDArray[np.float64]) -> ListedName:
    taxon = card.taxa[place]
    return ListedName(
        label=taxon.label,
        scientific_name=taxon.scientific_name,
        probability_without_checklist=float(before[place]),
        probability_with_checklist=float(after[place]),
    )


def _reason(chosen: Chosen, card: ModelCard, num_expected: int, before: ListedName, after: ListedName) -> str:
    name, when = chosen.active.name, "" if chosen.week is None else f" in week {chosen.week}"
    if num_expected == 0:
        return f"The checklist {name} expects no species of this model{when}, so it changed nothing."
    why = {
        "place": "the photo was taken within it",
        "season": "the photo has a date",
        "name": "the request names it",
    }[chosen.basis]
    holds = f"The checklist {name} holds, as {why}"
    expects = f"{holds}; it expects {num_expected} of the {card.num_classes} species{when}."
    shown = after.scientific_name or after.label
    first, then = percent(after.probability_without_checklist), percent(after.probability_with_checklist)
    moved = f"from {first} to {then}"
    if before.label == after.label:
        if first == then:
            return f"{expects} {shown} is the likeliest with it as without it, at {then} both times."
        return f"{expects} {shown} is the likeliest with it as without it; it went {moved}."
    other = before.scientific_name or before.label
    if before.probability_with_checklist == 0:
        return (
            f"{expects} It excludes {other}, which is {percent(before.probability_without_checklist)} probable without "
            f"it; {shown}, the likeliest of the rest, went {moved}."
        )
    fell = f"from {percent(before.probability_without_checklist)} to {percent(before.probability_with_checklist)}"
    return f"{expects} It moved {shown} {moved} and {other}, the likeliest without it, {fell}."
