"""Where a list contradicts the photo, or the photos each other, an answer says so and makes nothing sure by it."""

from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.db.tables import Role
from tests import drawn_photos
from tests.tiny_bundle import TAXA
from tests.web import test_checklists
from tests.web.conftest import connect, log_in
from tests.web.test_checklists import HERE, add, ask, by_label

RUSTY, GREEN = TAXA[0], TAXA[1]
database_url = test_checklists.database_url


async def test_a_list_that_rules_out_what_the_photo_shows_makes_no_other_species_sure(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    await add(robot, unlisted_weight="0")
    plain = by_label(await ask(client, top_k="7"))
    listed = await ask(client, top_k="7", prior="meadow", reliability="0.8")
    use, decided = listed["checklist"], listed["decision"]
    assert use["contradicts_photo"] is True
    assert use["probability_ruled_out"] == pytest.approx(1 - plain[GREEN.label])
    assert f"It excludes {RUSTY.scientific_name}, which is" in use["reason"]
    assert (decided["kind"], decided["taxon"]["label"]) == ("genus", "Aurelia")
    assert decided["probability"] == pytest.approx(plain[RUSTY.label] + plain[GREEN.label])
    assert f"most likely {RUSTY.scientific_name}" in decided["reason"]
    page = await client.get(f"/identifications/{listed['id']}", headers={"Accept": "text/html"})
    assert "Named to genus only" in page.text
    assert "the checklist rules out the species in it that the photo shows" in page.text
    assert "What the checklist leaves, not identifications" in page.text
    assert "If the checklist were right: 1 name" in page.text
    assert "Only this one fits" not in page.text


async def test_where_not_even_the_family_is_expected_nothing_is_named_and_the_answer_says_why(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    await add(robot, b"scientific_name\nNoctivaga rubra\n", unlisted_weight="0")
    listed = await ask(client, prior="meadow")
    decided = listed["decision"]
    assert (decided["kind"], decided["taxon"], decided["probability"]) == ("unknown", None, None)
    assert decided["unknown"]["kind"] == "excluded"
    page = await client.get(f"/identifications/{listed['id']}", headers={"Accept": "text/html"})
    assert "Not named: against the checklist" in page.text
    history = await client.get("/identifications", headers={"Accept": "text/html"})
    assert "Not named: against the checklist" in history.text


async def test_photos_that_disagree_about_place_or_week_choose_no_list_by_it_and_the_answer_says_so(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    await add(robot)
    await add(robot, checklist="Europe", radius_km="3000", unlisted_weight="1")

    def photo(seed: int, day: int, position: tuple[float, float]) -> tuple[str, tuple[str, bytes, str]]:
        block = drawn_photos.exif(taken=datetime(2024, 7, day, 23), position=position)
        return "image", ("m.jpg", drawn_photos.photo(kind=0, seed=seed, exif=block), "image/jpeg")

    async def answer(*photos: Any, **fields: str) -> dict[str, Any]:
        found = await client.post("/predict", files=list(photos), data=fields)
        assert found.status_code == 200, found.text
        return dict(found.json())

    here, near, away = (47.2, 11.4), (47.201, 11.401), (52.5, 13.4)
    agreed = await answer(photo(77, 1, here), photo(78, 1, near))
    assert (agreed["checklist"]["name"], agreed["disagreements"]) == ("meadow", [])
    for order in ((here, away), (away, here)):
        apart = await answer(photo(77, 1, order[0]), photo(78, 20, order[1]))
        assert (apart["checklist"]["name"], apart["checklist"]["week"]) == ("Europe", None)
        assert "up to 606 km apart" in apart["disagreements"][0]
        assert "from 2024-07-01 to 2024-07-20" in apart["disagreements"][1]
    page = await client.get(f"/identifications/{apart['id']}", headers={"Accept": "text/html"})
    assert "do not agree on the time or the place: they may not show one animal" in page.text
    assert "A checklist was used" in page.text
    for fact in ("2024-07-01", "2024-07-20", "606 km", "Europe", "taken within it"):
        assert fact not in page.text, "what the photos' EXIF says is for whoever sent them"
    told = await answer(photo(77, 1, here), photo(78, 20, away), event_date="2024-07-01", **HERE)
    assert (told["checklist"]["name"], told["checklist"]["week"], told["disagreements"]) == ("meadow", 27, [])


async def test_the_page_shows_time_and_place_to_the_account_that_sent_the_photo_and_to_reviewers(
    app: FastAPI,
    client: httpx.AsyncClient,
    robot: httpx.AsyncClient,
    viewer: httpx.AsyncClient,
    admin: httpx.AsyncClient,
) -> None:
    await add(robot)
    listed = await ask(viewer, None, event_date="2024-07-01", **HERE)
    async with connect(app) as other:
        await log_in(other, app, "cy", Role.VIEWER)
        for reader, told in ((viewer, True), (admin, True), (other, False), (client, False), (robot, False)):
            for query in ("", "?fragment=true"):
                page = await reader.get(f"/identifications/{listed['id']}{query}")
                for fact in ("Checklist meadow, chosen by the photo", "taken within it", "in week 27"):
                    assert (fact in page.text) == told
                assert ("A checklist was used" in page.text) != told
