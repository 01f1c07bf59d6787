"""Checklists from upload to answer: over HTTP, on the page, and what an answer says of them."""

from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.services.answers import IdentifyAnswer
from models import decision
from models.checklist import MAX_BYTES
from tests import drawn_photos
from tests.conftest import ORIGIN
from tests.tiny_bundle import TAXA

PHOTO = drawn_photos.photo(kind=0, seed=77)
RUSTY, GREEN = TAXA[0], TAXA[1]
MEADOW = {"checklist": "meadow", "decimal_latitude": "47.2", "decimal_longitude": "11.4", "radius_km": "20"}
ONLY_GREEN = b"scientific_name,weeks\nAurelia viridis,20-30\n"
HERE = {"decimal_latitude": "47.25", "decimal_longitude": "11.45"}
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
def database_url(tmp_path: Any) -> str:
    """What lists do to answers is no question of the database: SQLite alone."""
    return f"sqlite+aiosqlite:///{tmp_path / 'lists.db'}"


async def add(robot: httpx.AsyncClient, data: bytes = ONLY_GREEN, **parameters: str) -> dict[str, Any]:
    answer = await robot.post(
        "/models/tiny-moths/checklists", params={**MEADOW, **parameters}, content=data, headers=CSV
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ask(client: httpx.AsyncClient, photo: bytes | None = None, **fields: str) -> dict[str, Any]:
    files = [("image", ("m.jpg", photo or PHOTO, "image/jpeg"))]
    answer = await client.post("/predict", files=files, data=fields)
    assert answer.status_code == 200, answer.text
    IdentifyAnswer.model_validate_json(answer.text)
    found: dict[str, Any] = answer.json()
    return found


def by_label(answer: dict[str, Any], field: str = "probability") -> dict[str, float]:
    return {each["taxon"]["label"]: each[field] for each in answer["predictions"]}


async def test_a_photo_of_a_listed_place_is_answered_with_the_list_and_says_what_it_changed(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    plain = await ask(client, top_k="7")
    assert plain["checklist"] is None
    await add(robot, unlisted_weight="0.001")
    listed = await ask(client, None, top_k="7", event_date="2024-06-01", **HERE)
    use = listed["checklist"]
    assert (use["name"], use["basis"], use["week"], use["applied"], use["num_expected"]) == (
        "meadow",
        "place",
        22,
        True,
        1,
    )
    assert by_label(listed, "probability_without_checklist") == pytest.approx(by_label(plain))
    before, after = by_label(plain), by_label(listed)
    weighed = {label: share * (1.0 if label == GREEN.label else 0.001) for label, share in before.items()}
    assert after == pytest.approx({label: share / sum(weighed.values()) for label, share in weighed.items()})
    assert use["top_before"]["label"] == RUSTY.label
    assert use["top_after"]["label"] == max(after, key=lambda label: after[label])
    assert use["top_after"]["probability_with_checklist"] == listed["predictions"][0]["probability"]
    assert "The checklist meadow holds, as the photo was taken within it" in use["reason"]
    assert listed["predictions"][0]["score"] in by_label(plain, "score").values()


async def test_decision_and_prediction_set_go_by_the_list(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    await add(robot, b"scientific_name\nAurelia ferruginea\n", unlisted_weight="0")
    listed = await ask(client, top_k="7", prior="meadow")
    assert listed["decision"]["taxon"]["label"] == RUSTY.label
    assert listed["decision"]["probability"] == 1.0
    assert listed["checklist"]["contradicts_photo"] is False
    assert listed["checklist"]["probability_ruled_out"] < 0.5
    assert [each["label"] for each in listed["prediction_set"]["taxa"]] == [RUSTY.label]
    assert sorted(by_label(listed).values()) == [0.0] * 6 + [1.0]


async def test_place_and_week_come_from_the_photo_too_and_a_request_can_refuse_or_name_a_list(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    await add(robot)
    block = drawn_photos.exif(orientation=1, taken=datetime(2024, 7, 1, 23, 5), position=(47.3, 11.3))
    photo = drawn_photos.photo(kind=0, seed=77, exif=block)
    assert (await ask(client, photo))["checklist"]["week"] == 27
    assert (await ask(client, photo, prior="none"))["checklist"] is None
    elsewhere = {"decimal_latitude": "50", "decimal_longitude": "11"}
    assert (await ask(client, photo, **elsewhere))["checklist"] is None
    assert (await ask(client, photo, prior="meadow", **elsewhere))["checklist"]["basis"] == "name"
    winter = await ask(client, photo, event_date="2024-01-10")
    assert winter["checklist"]["applied"] is False
    assert (
        "expects no species of this model in week 2, so it changed nothing" in winter["checklist"]["reason"]
    )
    assert set(by_label(winter, "probability_without_checklist").values()) == {None}
    assert by_label(winter) == pytest.approx(by_label(await ask(client, photo, prior="none")))
    wrong = await client.post("/predict", files=[("image", PHOTO)], data={"prior": "medow"})
    assert wrong.status_code == 422
    assert "no checklist named 'medow'; there is auto, none, meadow" in wrong.json()["detail"]


async def test_the_smallest_place_wins_then_a_season_and_a_bare_list_only_by_name(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    await add(robot, checklist="Alps", radius_km="300")
    await add(robot, checklist="garden", radius_km="1")
    for name, data in (("spring", ONLY_GREEN), ("bare", b"scientific_name\nAurelia viridis\n")):
        answer = await robot.post(
            "/models/tiny-moths/checklists", params={"checklist": name}, content=data, headers=CSV
        )
        assert answer.status_code == 200, answer.text

    async def used(**fields: str) -> str | None:
        use = (await ask(client, None, **fields))["checklist"]
        return use and f"{use['name']}, {use['basis']}"

    assert await used(decimal_latitude="47.2", decimal_longitude="11.4") == "garden, place"
    assert await used(decimal_latitude="48.2", decimal_longitude="11.4") == "Alps, place"
    assert await used(decimal_latitude="0", decimal_longitude="0") is None
    assert (
        await used(decimal_latitude="0", decimal_longitude="0", event_date="2024-06-01") == "spring, season"
    )
    assert await used(event_date="2024-06-01") == "spring, season"
    assert await used() is None
    assert await used(prior="bare") == "bare, name"
    assert (await ask(client, model="other-moths", event_date="2024-06-01"))["checklist"] is None


async def test_several_photos_are_weighed_once_and_a_batch_by_each_photo(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    await add(robot, unlisted_weight="0.5")
    photos = [("image", ("m.jpg", drawn_photos.photo(kind=4, seed=seed), "image/jpeg")) for seed in range(3)]
    each = [by_label(await ask(client, data, top_k="7", prior="none")) for _, (_, data, _) in photos]
    answer = await client.post("/predict", files=photos, data={"prior": "meadow", "top_k": "7"})
    combined = decision.combine_photos([[found[taxon.label] for taxon in TAXA] for found in each])
    combined[[place for place, taxon in enumerate(TAXA) if taxon.label != GREEN.label]] *= 0.5
    found = by_label(answer.json())
    assert [found[taxon.label] for taxon in TAXA] == pytest.approx(
        (combined / combined.sum()).tolist(), rel=1e-6
    )
    batch = await client.post("/predict/batch", files=photos, data=HERE)
    assert [item["result"]["checklist"]["name"] for item in batch.json()] == ["meadow"] * 3


async def test_an_upload_is_tried_out_refused_replaced_downloaded_and_ended(robot: httpx.AsyncClient) -> None:
    tried = await add(robot, b"scientific_name\nAurelia viridis\nCandela striatta\n", dry_run="true")
    assert tried["checklist"] is None
    assert tried["unmatched"] == [{"row": 3, "name": "Candela striatta", "nearest": ["Candela striata"]}]
    assert (await robot.get("/models/tiny-moths/checklists")).json() == {"checklists": []}
    first = (await add(robot))["checklist"]
    again = await robot.post("/models/tiny-moths/checklists", params=MEADOW, content=ONLY_GREEN, headers=CSV)
    assert again.status_code == 409
    second = (await add(robot, replace="true"))["checklist"]
    assert (second["revision"], second["created_by"]) == (2, "key robot")
    gone = {**MEADOW, "replaces": first["id"]}
    late = await robot.post("/models/tiny-moths/checklists", params=gone, content=ONLY_GREEN, headers=CSV)
    assert (late.status_code, "revision 2, added by key robot" in late.text) == (409, True)
    text = await robot.get(f"/models/tiny-moths/checklists/{second['id']}/csv")
    assert text.text == "scientific_name,weeks,weight\nAurelia viridis,20-30,1\n"
    ended = await robot.delete(f"/models/tiny-moths/checklists/{second['id']}")
    assert ended.json()["ended_by"] == "key robot"
    assert (await robot.delete(f"/models/tiny-moths/checklists/{second['id']}")).status_code == 409
    rows = (await robot.get("/models/tiny-moths/checklists", params={"ended": "true"})).json()["checklists"]
    assert [row["revision"] for row in rows] == [2, 1]


@pytest.mark.parametrize(
    ("parameters", "content", "status", "why"),
    [
        ({"radius_km": ""}, ONLY_GREEN, 422, "radius_km"),
        ({"radius_km": "0"}, ONLY_GREEN, 422, "above 0"),
        ({"decimal_latitude": "91"}, ONLY_GREEN, 422, "from -90 to 90"),
        ({"radius_km": "nan"}, ONLY_GREEN, 422, "radius_km"),
        ({"checklist": "auto"}, ONLY_GREEN, 422, "has a meaning"),
        ({"radius": "3"}, ONLY_GREEN, 422, "did you mean radius_km"),
        ({}, b"", 422, "the file is empty"),
        ({}, "scientific_name\nAur\u00e9lia".encode("latin-1"), 422, "row 2: is not UTF-8"),
        ({}, b"x" * 1_100_000, 413, "larger than"),
    ],
)
async def test_a_wrong_upload_is_refused_and_says_what_is_wrong(
    robot: httpx.AsyncClient, parameters: dict[str, str], content: bytes, status: int, why: str
) -> None:
    given = {name: value for name, value in {**MEADOW, **parameters}.items() if value}
    answer = await robot.post("/models/tiny-moths/checklists", params=given, content=content, headers=CSV)
    assert answer.status_code == status, answer.text
    assert why in answer.text
    nowhere = await robot.post("/models/no-moths/checklists", params=MEADOW, content=ONLY_GREEN, headers=CSV)
    assert nowhere.status_code == 404
    photo = await robot.post(
        "/models/tiny-moths/checklists", params=MEADOW, content=PHOTO, headers={"Content-Type": "image/jpeg"}
    )
    assert photo.status_code == 400


async def test_a_request_that_is_sent_again_gets_its_answer_whatever_lists_came_since(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    async def send() -> str:
        files = [("image", ("m.jpg", PHOTO, "image/jpeg"))]
        answer = await client.post("/predict", files=files, data=HERE, headers={"Idempotency-Key": "one"})
        return answer.text

    first = await send()
    await add(robot)
    assert await send() == first


async def token_of(admin: httpx.AsyncClient, path: str = "/admin/checklists") -> str:
    page = await admin.get(path)
    assert page.status_code == 200, page.text
    return page.text.partition('name="form_token" value="')[2].partition('"')[0]


async def test_an_admin_looks_at_what_matches_before_a_list_is_kept_and_can_end_it(
    admin: httpx.AsyncClient, app: FastAPI
) -> None:
    fields = {**MEADOW, "model": "tiny-moths", "form_token": await token_of(admin), "unlisted": "0,5"}
    csv = b"\xef\xbb\xbfscientific_name;weeks\r\nAurelia viridis;20-30\r\nCandela striatta;\r\n"
    page = await admin.post("/admin/checklists/preview", data=fields, files={"file": ("meadow.csv", csv)})
    assert page.status_code == 200, page.text
    for words in ("1 of its 2 names are species", "Candela striatta", "Candela striata", "not kept yet"):
        assert words in page.text
    assert "No checklist is in use" in page.text
    below = page.text.partition('<textarea id="csv"')[2].partition("</textarea>")[0]
    assert "Candela striatta;" in below, "a name is put right where it is, and looked at again"
    kept = {**fields, "csv": csv.decode("utf-8-sig")}
    done = await admin.post("/admin/checklists/add", data=kept, headers={"Origin": ORIGIN})
    assert (done.status_code, done.headers["location"]) == (
        303,
        "/admin/checklists?model=tiny-moths&done=added",
    )
    listed = await admin.get("/admin/checklists", params={"model": "tiny-moths"})
    assert "within 20 km of 47.2, 11.4; species it leaves out count 0.5" in listed.text
    (active,) = await app.state.active_checklists.of("tiny-moths")
    end = {"model": "tiny-moths", "id": str(active.id), "form_token": fields["form_token"]}
    assert (await admin.post("/admin/checklists/end", data=end)).status_code == 303
    again = await admin.post("/admin/checklists/end", data=end)
    assert again.status_code == 409
    assert "not in use any more" in again.text


@pytest.mark.parametrize(
    ("changed", "file", "why"),
    [
        ({}, b"", "choose a CSV file, or paste its rows"),
        ({"radius_km": "far"}, ONLY_GREEN, "is not a number"),
        ({"radius_km": ""}, ONLY_GREEN, "all three or none"),
        ({}, "scientific_name\nAur\u00e9lia".encode("latin-1"), "is not UTF-8"),
        ({}, b"scientific_name,weeks\nA b,99\nC d,98\n", "row 3: weeks"),
        ({}, b"x" * 900_000, "the most of a list"),
        ({"checklist": ""}, ONLY_GREEN, "expected a name"),
    ],
)
async def test_the_page_says_why_a_list_is_refused_and_keeps_what_was_written(
    admin: httpx.AsyncClient, changed: dict[str, str], file: bytes, why: str
) -> None:
    fields = {**MEADOW, "model": "tiny-moths", "form_token": await token_of(admin), **changed}
    files = {"file": ("meadow.csv", file)} if file else {"file": ("", b"")}
    page = await admin.post("/admin/checklists/preview", data=fields, files=files)
    assert page.status_code == 422, page.text
    assert why in page.text
    assert 'value="47.2"' in page.text


async def test_of_two_admins_with_the_same_form_open_the_second_is_told_what_the_first_did(
    admin: httpx.AsyncClient,
) -> None:
    fields = {
        **MEADOW,
        "model": "tiny-moths",
        "form_token": await token_of(admin),
        "csv": ONLY_GREEN.decode(),
    }

    async def looked_at() -> dict[str, str]:
        page = await admin.post("/admin/checklists/preview", data=fields, files={"file": ("", b"")})
        return {**fields, "replaces": page.text.partition('name="replaces" value="')[2].partition('"')[0]}

    ana, ben = await looked_at(), await looked_at()
    assert (await admin.post("/admin/checklists/add", data=ana)).status_code == 303
    second = await admin.post("/admin/checklists/add", data=ben)
    assert second.status_code == 409
    assert "revision 1, added by ana" in second.text
    assert (await admin.post("/admin/checklists/add", data=await looked_at())).status_code == 303


async def test_a_list_near_the_limit_may_be_kept_as_a_browser_sends_its_lines(
    admin: httpx.AsyncClient,
) -> None:
    csv = "scientific_name,weeks,weight\nAurelia viridis,,1\n"
    csv += "".join(f"Candela s{'x' * 60}{number:05},,1\n" for number in range((MAX_BYTES - 1000) // 78))
    assert MAX_BYTES - 2000 < len(csv) <= MAX_BYTES < len(csv.replace("\n", "\r\n"))
    fields = {**MEADOW, "model": "tiny-moths", "form_token": await token_of(admin)}
    looked = await admin.post(
        "/admin/checklists/preview", data=fields, files={"file": ("m.csv", csv.encode())}
    )
    assert looked.status_code == 200
    kept = {**fields, "csv": csv.replace("\n", "\r\n")}
    assert (await admin.post("/admin/checklists/add", data=kept)).status_code == 303


async def test_a_form_of_another_site_changes_nothing(admin: httpx.AsyncClient) -> None:
    fields = {**MEADOW, "model": "tiny-moths", "form_token": "guessed", "csv": ONLY_GREEN.decode()}
    for path in ("preview", "add"):
        assert (await admin.post(f"/admin/checklists/{path}", data=fields)).status_code == 403


async def test_a_list_is_found_by_its_name_however_its_accents_and_spaces_were_typed(
    client: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    await add(robot, checklist="Zu\u0308rich  berg")
    for typed in ("Z\u00fcrich berg", "Zu\u0308rich berg", " Z\u00fcrich  berg "):
        assert (await ask(client, prior=typed))["checklist"]["name"] == "Z\u00fcrich berg"
