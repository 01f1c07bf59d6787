"""The pages as the server sends them: what is found, what is refused, and what needs no JavaScript."""

import itertools
import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.db.tables import Role
from app.services import members
from tests import drawn_photos
from tests.web.conftest import PASSWORD, connect, log_in

HTML = {"Accept": "text/html"}
RUSTY = drawn_photos.photo(kind=0, seed=77)


async def page(client: httpx.AsyncClient, path: str, status: int = 200) -> str:
    answer = await client.get(path, headers=HTML)
    assert answer.status_code == status, answer.text
    return answer.text


async def identified(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/predict", files=[("image", ("moth.jpg", RUSTY, "image/jpeg"))])
    found: dict[str, Any] = answer.json()
    return found


async def test_the_identify_page_offers_every_deployed_model_and_the_default_first(
    client: httpx.AsyncClient,
) -> None:
    html = await page(client, "/")
    assert re.search(r'<option value="tiny-moths" selected>', html)
    assert '<option value="other-moths">' in html


async def test_a_fragment_is_the_plate_of_its_page(client: httpx.AsyncClient) -> None:
    found = await identified(client)
    plate = await page(client, f"/identifications/{found['id']}?fragment=1")
    assert plate.lstrip().startswith("<article")
    assert plate.strip() in await page(client, f"/identifications/{found['id']}")


async def test_an_answer_is_shown_as_it_was_saved_after_another_version_was_promoted(
    client: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    found = await identified(client)
    wanted = {"version": "1.1.0", "expected_epoch": 1, "reason": "better tail"}
    assert (await admin.post("/models/tiny-moths/promote", json=wanted)).status_code == 200
    html = await page(client, f"/identifications/{found['id']}")
    assert "tiny-moths 1.0.0, epoch 1" in html
    assert "Groups: head:" in html


async def test_an_account_sees_its_own_identifications_and_a_reviewer_everybodys(
    client: httpx.AsyncClient, viewer: httpx.AsyncClient, admin: httpx.AsyncClient, app: FastAPI
) -> None:
    of_viewer, of_nobody = (await identified(viewer))["id"], (await identified(client))["id"]
    async with connect(app) as reviewer, connect(app) as other:
        await log_in(reviewer, app, "rita", Role.REVIEWER)
        await log_in(other, app, "otto", Role.VIEWER)
        listed = {}
        for name, browser in {
            "own": viewer,
            "nobody": client,
            "other": other,
            "rita": reviewer,
            "ana": admin,
        }.items():
            html = await page(browser, "/identifications")
            listed[name] = re.findall(r'class="record" href="/identifications/([^"]+)"', html)
        everybodys = [of_nobody, of_viewer]
        assert listed == {
            "own": [of_viewer],
            "nobody": [of_nobody],
            "other": [],
            "rita": everybodys,
            "ana": everybodys,
        }
        assert of_viewer in await page(other, f"/identifications/{of_viewer}"), "a link can be passed on"


async def test_what_a_deleted_account_or_a_key_identified_does_not_become_everybodys(
    client: httpx.AsyncClient,
    viewer: httpx.AsyncClient,
    robot: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    app: FastAPI,
) -> None:
    of_viewer, of_robot = (await identified(viewer))["id"], (await identified(robot))["id"]
    async with app.state.sessions() as session:
        await members.remove(session, "ben")
        await session.commit()
    everybodys, admins = await page(client, "/identifications"), await page(admin, "/identifications")
    for each in (of_viewer, of_robot):
        assert each not in everybodys
        assert each in admins


async def test_identifications_are_paged_newest_first(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.pages.PAGE_SIZE", 2)
    ids = [(await identified(client))["id"] for _ in range(3)]
    first = await page(client, "/identifications")
    assert re.findall(r'class="record" href="/identifications/([^"]+)"', first) == [ids[2], ids[1]]
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older is not None
    assert re.findall(r'class="record" href="/identifications/([^"]+)"', await page(client, older[1])) == [
        ids[0]
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/identifications/00000000-0000-4000-8000-000000000000",
        "/identifications?before=00000000-0000-4000-8000-000000000000",
        "/identifications/not-an-id",
        "/species?model=absent-moths",
        "/performance?model=absent-moths",
        "/static/app/0123456789abcdef/absent.css",
    ],
)
async def test_what_is_not_there_is_a_page_that_says_so(client: httpx.AsyncClient, path: str) -> None:
    status = 422 if path.startswith("/identifications?") and "not-an" in path else 404
    assert "<h1>There is no such thing here</h1>" in await page(client, path, status)


@pytest.mark.parametrize("path", ["/species?sort=size", "/species?colour=red", "/performance?top=1"])
async def test_a_parameter_that_is_not_known_is_refused(client: httpx.AsyncClient, path: str) -> None:
    await page(client, path, 422)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=lantern", ["Aurelia ferruginea", "Aurelia viridis"]),
        ("q=umbridae&sort=count&order=desc", ["Noctivaga rubra", "Noctivaga grisea agg.", "Silentia lutea"]),
        ("group=head&sort=count", ["Candela striata", "Aurelia viridis", "Aurelia ferruginea"]),
        ("sort=group&order=desc&group=tail", ["Silentia lutea", "unplaced_brown"]),
        ("q=%3Cscript%3E", []),
    ],
)
async def test_species_are_searched_filtered_and_sorted_by_their_address(
    client: httpx.AsyncClient, query: str, names: list[str]
) -> None:
    html = await page(client, f"/species?{query}")
    assert re.findall(r'<th scope="row"><span class="taxon(?: plain)?">([^<]+)</span>', html) == names
    assert "<script>" not in html


async def test_a_column_links_to_the_other_direction_and_says_how_it_is_sorted(
    client: httpx.AsyncClient,
) -> None:
    html = await page(client, "/species?sort=recall&order=desc&q=a")
    assert 'aria-sort="descending"><a href="/species?model=tiny-moths&amp;q=a&amp;sort=recall">' in html


async def test_performance_shows_the_candidate_beside_the_deployed_version(client: httpx.AsyncClient) -> None:
    html = await page(client, "/performance?model=tiny-moths")
    assert "1.0.0 (deployed)" in html
    assert "1.1.0 (candidate)" in html
    assert html.count('type="application/json"') == 5
    assert html.count("<caption") == 5, "a table beside every plot"
    assert "terciles of this species list" in html
    assert "Measured on moths drawn by the test code." in html


async def test_only_admins_see_the_models_page(client: httpx.AsyncClient, viewer: httpx.AsyncClient) -> None:
    assert (await client.get("/admin/models", headers=HTML)).headers["location"].startswith("/login?next=")
    await page(viewer, "/admin/models", 403)


async def promote_by_form(admin: httpx.AsyncClient, **changed: str) -> httpx.Response:
    html = await page(admin, "/admin/models")
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', html)
    assert token is not None
    form = {"form_token": token[1], "model": "tiny-moths", "version": "1.1.0", "expected_epoch": "1"}
    return await admin.post(
        "/admin/models/promote", data={**form, "reason": "better tail", **changed}, headers=HTML
    )


async def test_a_promotion_by_form_is_told_on_the_page_it_leads_to(admin: httpx.AsyncClient) -> None:
    answer = await promote_by_form(admin)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/admin/models?promoted=tiny-moths#tiny-moths",
    )
    assert "tiny-moths 1.1.0 answers now, at epoch 2." in await page(
        admin, "/admin/models?promoted=tiny-moths"
    )


async def test_a_stale_promotion_says_who_was_first_and_keeps_the_reason(admin: httpx.AsyncClient) -> None:
    await promote_by_form(admin)
    answer = await promote_by_form(admin, version="1.0.0", reason="mine <b>too</b>")
    assert answer.status_code == 409
    assert "ana deployed 1.1.0" in answer.text
    assert 'value="mine &lt;b&gt;too&lt;/b&gt;"' in answer.text


async def test_a_promotion_without_a_reason_is_refused_on_the_page(admin: httpx.AsyncClient) -> None:
    answer = await promote_by_form(admin, reason="  ")
    assert answer.status_code == 422
    assert "characters that say why" in answer.text


async def test_a_promotion_form_without_its_token_changes_nothing(admin: httpx.AsyncClient) -> None:
    assert (await promote_by_form(admin, form_token="")).status_code == 403
    assert "1.0.0 is deployed, epoch 1" in await page(admin, "/admin/models")


async def test_the_password_is_taken_with_a_promotion(admin: httpx.AsyncClient) -> None:
    assert (await promote_by_form(admin, password="wrong password")).status_code in (401, 403)
    assert (await promote_by_form(admin, password=PASSWORD)).status_code == 303


async def test_the_form_without_javascript_leads_to_the_saved_answer(client: httpx.AsyncClient) -> None:
    files = [("image", ("moth.jpg", RUSTY, "image/jpeg")), ("image", ("", b"", "application/octet-stream"))]
    answer = await client.post("/predict/form", files=files, data={"model": "other-moths"}, headers=HTML)
    assert answer.status_code == 303
    assert "other-moths 1.0.0, epoch 1" in await page(client, answer.headers["location"])


async def test_several_photos_by_form_are_several_animals_unless_ticked(client: httpx.AsyncClient) -> None:
    files = [("image", ("moth.jpg", RUSTY, "image/jpeg"))] * 2
    apart = await client.post("/predict/form", files=files, headers=HTML)
    assert apart.headers["location"] == "/identifications"
    together = await client.post("/predict/form", files=files, data={"together": "true"}, headers=HTML)
    plate = await page(client, together.headers["location"])
    assert "Photo 2 of 2 of the animal" in plate


async def test_one_bad_photo_of_a_form_is_named_beside_the_answers_of_the_others(
    client: httpx.AsyncClient,
) -> None:
    bad = ("image", ("<note>.jpg", b"no photo", "image/jpeg"))
    files = [
        ("image", ("moth.jpg", RUSTY, "image/jpeg")),
        bad,
        ("image", ("moth-2.jpg", RUSTY, "image/jpeg")),
    ]
    answer = await client.post("/predict/form", files=files, headers=HTML)
    assert answer.status_code == 200
    assert "2 of 3 photos have an answer" in answer.text
    assert "What has an answer is saved" in answer.text
    assert re.search(r"<li>&lt;note&gt;\.jpg: .+</li>", answer.text)
    saved = re.findall(r'href="(/identifications/[^"]+)"', answer.text)
    assert len(set(saved)) == 2
    for path in saved:
        await page(client, path)


async def test_a_form_whose_photos_are_all_bad_says_so_of_each(client: httpx.AsyncClient) -> None:
    files = [("image", (name, b"no photo", "image/jpeg")) for name in ("a.jpg", "b.jpg")]
    answer = await client.post("/predict/form", files=files, headers=HTML)
    assert answer.status_code == 415
    for words in ("None of the 2 photos has an answer", "Nothing was saved", "<li>a.jpg: ", "<li>b.jpg: "):
        assert words in answer.text


async def test_a_form_field_that_is_not_known_or_another_site_is_refused(client: httpx.AsyncClient) -> None:
    files = [("image", ("moth.jpg", RUSTY, "image/jpeg"))]
    answer = await client.post("/predict/form", files=files, data={"mode": "x"}, headers=HTML)
    assert answer.status_code == 422
    elsewhere = {**HTML, "Origin": "https://elsewhere.example"}
    assert (await client.post("/predict/form", files=files, headers=elsewhere)).status_code == 403


async def test_every_route_of_the_api_is_on_its_page(client: httpx.AsyncClient, app: FastAPI) -> None:
    html = await page(client, "/docs")
    for path, item in app.openapi()["paths"].items():
        for method in item:
            assert f"<code>{method.upper()} {path}</code>" in html


async def test_an_asset_may_be_kept_for_ever_under_its_own_hash_only(client: httpx.AsyncClient) -> None:
    found = re.search(r'href="(/static/app/[0-9a-f]+/app\.css)"', await page(client, "/"))
    assert found is not None
    fresh = await client.get(found[1])
    assert "immutable" in fresh.headers["cache-control"]
    assert fresh.headers["content-encoding"] == "gzip"
    old = await client.get("/static/app/0123456789abcdef/app.css")
    assert (old.text, old.headers["cache-control"]) == (fresh.text, "no-cache")
    again = await client.get(found[1], headers={"If-None-Match": fresh.headers["etag"]})
    assert again.status_code == 304


async def test_plotly_is_served_by_us(client: httpx.AsyncClient) -> None:
    found = re.search(r'src="(/static/plotly/[0-9a-f]+/plotly\.min\.js)"', await page(client, "/performance"))
    assert found is not None
    assert "Plotly" in (await client.get(found[1])).text


@pytest.mark.parametrize(
    "path", ["/", "/identifications", "/species", "/performance", "/docs", "/login", "/no"]
)
async def test_headings_go_down_one_level_at_a_time_from_one_h1(client: httpx.AsyncClient, path: str) -> None:
    html = (await client.get(path, headers=HTML)).text
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels)), levels


@pytest.mark.parametrize("path", ["/", "/species", "/login"])
async def test_every_field_has_a_label(client: httpx.AsyncClient, path: str) -> None:
    html = await page(client, path)
    fields = re.findall(r"<(?:input|select|textarea)(?![^>]*type=\"hidden\")[^>]*\bid=\"([^\"]+)\"", html)
    assert fields
    assert all(f'for="{field}"' in html for field in fields)
