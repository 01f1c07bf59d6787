"""Checklists of a model on both databases: added, replaced, ended, and never rewritten."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.session import Sessions
from app.errors import Conflict, InvalidField, NotFound
from app.services import checklists
from app.services.active_checklists import ActiveChecklists
from app.services.checklists import Draft, Replaces
from app.services.registry import prepare_registry
from app.settings import Settings
from models.checklist import MAX_ROWS
from models.place import Place

TAXON = "Aurelia viridis"
MEADOW = Place(decimal_latitude=47.2, decimal_longitude=11.4, radius_km=20)
CSV = b"scientific_name,weeks\nAurelia viridis,20-30\nCandela striatta,\nNoctivaga rubra,\n"


@pytest.fixture
async def registered(sessions: Sessions, settings: Settings) -> Sessions:
    await prepare_registry(sessions, settings.store)
    return sessions


async def add(
    sessions: Sessions, settings: Settings, draft: Draft, *, replaces: Replaces = "nothing"
) -> UUID:
    async with sessions() as session:
        row, _ = await checklists.add(session, settings, "tiny-moths", draft, actor="ana", replaces=replaces)
        await session.commit()
        return row.id


async def test_a_list_says_what_it_matches_and_is_kept_with_who_and_when(
    registered: Sessions, settings: Settings
) -> None:
    async with registered() as session:
        row, checked = await checklists.add(
            session,
            settings,
            "tiny-moths",
            Draft(" the  meadow", CSV, MEADOW),
            actor="ana",
            replaces="nothing",
        )
        await session.commit()
    assert (checked.num_matched, checked.num_in_model) == (2, 7)
    assert [(each.row, each.nearest) for each in checked.unmatched] == [(3, ("Candela striata",))]
    assert (row.name, row.revision, row.created_by, row.ended_at) == ("the meadow", 1, "ana", None)
    assert row.content.splitlines()[1] == "Aurelia viridis,20-30,1"


async def test_a_replaced_list_stays_and_a_name_comes_back_with_the_next_revision(
    registered: Sessions, settings: Settings
) -> None:
    await add(registered, settings, Draft("meadow", CSV))
    with pytest.raises(Conflict, match="already"):
        await add(registered, settings, Draft("meadow", CSV))
    second = await add(registered, settings, Draft("meadow", CSV, MEADOW), replaces="whatever")
    async with registered() as session:
        await checklists.end(session, "tiny-moths", second, "ben")
        await session.commit()
    async with registered() as session:
        with pytest.raises(Conflict, match="not in use any more"):
            await checklists.end(session, "tiny-moths", second, "ben")
        with pytest.raises(NotFound):
            await checklists.end(session, "other-moths", second, "ben")
        with pytest.raises(NotFound, match="no list named 'meadow' in use; there is none"):
            await checklists.end_named(session, "tiny-moths", "meadow", "ben")
    await add(registered, settings, Draft("meadow", CSV))
    async with registered() as session:
        rows = await checklists.lists_of(session, "tiny-moths", ended=True)
    assert [(row.revision, row.ended_by) for row in rows] == [(3, None), (2, "ben"), (1, "ana")]


async def test_of_many_who_replace_a_list_at_once_each_is_a_revision(
    registered: Sessions, settings: Settings
) -> None:
    await asyncio.gather(
        *(add(registered, settings, Draft("meadow", CSV), replaces="whatever") for _ in range(5))
    )
    async with registered() as session:
        rows = await checklists.lists_of(session, "tiny-moths", ended=True)
    assert [row.revision for row in rows] == [5, 4, 3, 2, 1]
    assert [row.ended_at is None for row in rows] == [True, False, False, False, False]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE checklist SET content = 'scientific_name'",
        "UPDATE checklist SET radius_km = 1",
        "UPDATE checklist SET ended_at = NULL",
        "DELETE FROM checklist",
    ],
)
async def test_the_database_lets_nobody_rewrite_a_list(
    registered: Sessions, settings: Settings, statement: str
) -> None:
    await add(registered, settings, Draft("meadow", CSV, MEADOW))
    await add(registered, settings, Draft("meadow", CSV, MEADOW), replaces="whatever")
    async with registered() as session:
        with pytest.raises(DBAPIError, match="immutable"):
            await session.execute(text(statement))


@pytest.mark.parametrize(
    ("draft", "why"),
    [
        (Draft("", CSV), "expected a name"),
        (Draft("None", CSV), "has a meaning"),
        (Draft("x" * 101, CSV), "expected a name"),
        (
            Draft("meadow", b"scientific_name\nCandela striatta\n"),
            "none of its names .* did you mean Candela striata",
        ),
        (Draft("meadow", b"scientific_name,weeks\nCandela striata,99\n"), "row 2"),
        (Draft("meadow", b"scientific_name,weight\nCandela striata,0\n"), "every weight is 0"),
        (Draft("meadow", CSV, unlisted_weight=2.0), "0 to 1"),
        (Draft("meadow", CSV, unlisted_weight=float("nan")), "0 to 1"),
    ],
)
async def test_a_list_that_cannot_be_meant_is_refused(
    registered: Sessions, settings: Settings, draft: Draft, why: str
) -> None:
    with pytest.raises(InvalidField, match=why):
        await add(registered, settings, draft)
    async with registered() as session:
        assert await checklists.lists_of(session, "tiny-moths") == []


async def test_a_replica_hears_of_lists_when_its_copy_is_old_and_not_before(
    registered: Sessions, settings: Settings
) -> None:
    now = 0.0
    lists = ActiveChecklists(registered, max_age_s=2.0, clock=lambda: now)
    assert await lists.of("tiny-moths") == ()
    first = await add(registered, settings, Draft("meadow", CSV, MEADOW))
    now = 1.9
    assert await lists.of("tiny-moths") == ()
    now = 2.0
    (found,) = await lists.of("tiny-moths")
    assert (found.id, found.place, found.has_weeks) == (first, MEADOW, True)
    second = await add(registered, settings, Draft("meadow", CSV), replaces="whatever")
    lists.forget()
    answers = await asyncio.gather(*(lists.of("tiny-moths") for _ in range(20)))
    assert {each.id for answer in answers for each in answer} == {second}
    assert await lists.of("other-moths") == ()


async def test_the_largest_list_that_is_taken_does_not_stop_the_answers(
    registered: Sessions, settings: Settings
) -> None:
    names = [f"Agrotis x{number:x}".ljust(37, "y") for number in range(MAX_ROWS - 1)]
    await add(registered, settings, Draft("meadow", "\n".join(["species", TAXON, *names]).encode()))
    (found,) = await ActiveChecklists(registered).of("tiny-moths")
    assert len(found.species) == MAX_ROWS


async def test_a_list_replaces_the_one_that_was_looked_at_and_no_other(
    registered: Sessions, settings: Settings
) -> None:
    first = await add(registered, settings, Draft("meadow", CSV))
    second = await add(registered, settings, Draft("meadow", CSV, MEADOW), replaces=first)
    with pytest.raises(Conflict, match=r"revision 2, added by ana on .* Look at it"):
        await add(registered, settings, Draft("meadow", CSV), replaces=first)
    async with registered() as session:
        await checklists.end(session, "tiny-moths", second, "ben")
        await session.commit()
    with pytest.raises(Conflict, match="is in use that could be replaced"):
        await add(registered, settings, Draft("meadow", CSV), replaces=second)
