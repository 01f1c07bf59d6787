"""An admin adds a species from photos: over the API, on the page, from the shell. A candidate that says what it is."""

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.errors import Conflict
from app.services import registry
from app.services.adding.species import NamedPhoto, SpeciesAdder, WantedSpecies
from app.settings import Settings
from models import bundle
from models.taxonomy import Taxon
from tests.drawn_photos import new_moth, photo
from tests.serving import Server
from tests.tiny_bundle import write_tiny_bundle
from tests.web.conftest import folders, sqlite_unless_asked, with_own_store

WHERE = "/models/tiny-moths/species"
PAGE = "/admin/models/add-species"
BEFORE = ["old-moths/1.0.0", "tiny-moths/1.0.0"]


@pytest.fixture(scope="module")
def knowing_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that species can be added to, and one from before that."""
    folder = tmp_path_factory.mktemp("store")
    write_tiny_bundle(folder, "tiny-moths", "1.0.0", with_unknown=True)
    write_tiny_bundle(folder, "old-moths", "1.0.0")
    return folder


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_unless_asked(request, tmp_path)


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, settings: Settings, knowing_store: Path, tmp_path: Path
) -> Settings:
    """With a store of this test's own."""
    return with_own_store(request, settings, knowing_store, tmp_path)


async def send(
    client: httpx.AsyncClient, *photos: bytes, where: str = WHERE, name: str = "Nova alba", **fields: str
) -> httpx.Response:
    files = [("image", (f"moth {number}.jpg", data, "image/jpeg")) for number, data in enumerate(photos, 1)]
    return await client.post(where, files=files, data={"name": name, **fields}, timeout=120)


async def test_five_photos_make_a_candidate_that_names_the_species_once_it_is_promoted(
    robot: httpx.AsyncClient, client: httpx.AsyncClient, app: FastAPI, settings: Settings
) -> None:
    answer = await send(robot, *map(new_moth, range(5)), family="Lunidae")
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/models/tiny-moths/versions/1.1.0"
    found = answer.json()
    assert (found["version"], found["base"], found["num_photos"]) == ("1.1.0", "1.0.0", 5)
    assert (found["taxon"]["label"], found["taxon"]["family"]) == ("nova_alba", "Lunidae")
    assert folders(settings) == [*BEFORE, "tiny-moths/1.1.0"]
    detail = (await robot.get("/models/tiny-moths")).json()
    assert detail["deployed"]["version"] == "1.0.0"
    (newest, *_) = (await robot.get("/models/tiny-moths/additions")).json()["additions"]
    assert (newest["actor"], newest["version"]) == ("key robot", "1.1.0")
    public = await client.get("/models/tiny-moths/versions/1.1.0")
    assert public.json()["card"]["prototypes"][0]["label"] == "nova_alba"
    zipped = await client.get("/models/tiny-moths/versions/1.1.0/bundle")
    for told in (public.content, zipped.content):
        assert b"robot" not in told, "what anybody may read does not say who added it"

    promoted = await robot.post(
        "/models/tiny-moths/promote", json={"version": "1.1.0", "expected_epoch": 1, "reason": "It flies."}
    )
    assert promoted.status_code == 200, promoted.text
    async with asyncio.timeout(30):
        while app.state.engine.get("tiny-moths").card.version != "1.1.0":
            await asyncio.sleep(0.05)
    asked = await robot.post(
        "/predict", files=[("image", ("x", new_moth(77), "image/jpeg"))], data={"reliability": "0.5"}
    )
    assert asked.status_code == 200, asked.text
    best: dict[str, Any] = asked.json()["predictions"][0]
    assert (best["taxon"]["label"], best["added_from"]) == ("nova_alba", 5)
    assert (best["evidence"]["recall"], best["evidence"]["num_test_images"]) == (None, 0)
    species = (await robot.get("/models/tiny-moths/species")).json()["species"]
    assert [each["added_from"] for each in species] == [None] * 7 + [5]


async def test_pages_say_that_it_was_added_and_not_tested(
    admin: httpx.AsyncClient, robot: httpx.AsyncClient, app: FastAPI
) -> None:
    assert (await send(robot, *map(new_moth, range(5)))).status_code == 201
    changed = {"version": "1.1.0", "expected_epoch": 1, "reason": "It flies."}
    assert (await robot.post("/models/tiny-moths/promote", json=changed)).status_code == 200
    async with asyncio.timeout(30):
        while app.state.engine.get("tiny-moths").card.version != "1.1.0":
            await asyncio.sleep(0.05)
    page = await admin.get("/species?model=tiny-moths")
    assert "added from 5 photos, not tested" in page.text
    made = await admin.get(f"{PAGE}?model=tiny-moths&version=1.1.0")
    assert ("It is deployed" in made.text, "It is a candidate" in made.text) == (True, False)
    files = [("image", ("x", new_moth(77), "image/jpeg"))]
    asked = await admin.post("/predict", files=files, data={"reliability": "0.5"})
    shown = await admin.get(f"/identifications/{asked.json()['id']}", headers={"Accept": "text/html"})
    assert "added from 5 photos, not tested" in shown.text


async def test_the_gate_warns_that_nobody_tested_it(robot: httpx.AsyncClient) -> None:
    assert (await send(robot, new_moth(1))).status_code == 201
    verdict = (await robot.get("/models/tiny-moths/versions/1.1.0/verdict")).json()
    assert "nova_alba is new and has no test photos" in str(verdict)


@pytest.mark.parametrize(
    ("fields", "status", "fault"),
    [
        ({"name": "Aurelia viridis"}, 422, "It was trained: more photos help it in a new training"),
        ({"name": "nova"}, 422, "is not a scientific name such as"),
        ({"base": "7.0.0"}, 404, "7.0.0"),
        ({"version": "1.0.0"}, 409, "tiny-moths 1.0.0 is there already"),
        ({"version": "one"}, 422, "version"),
        ({"version": "../1.1.0"}, 422, "version"),
        ({"colour": "white"}, 422, "colour"),
        ({"where": "/models/old-moths/species"}, 422, "Export it again from its run"),
        ({"where": "/models/no-moths/species"}, 404, "no-moths"),
    ],
)
async def test_what_cannot_be_added_is_refused_and_leaves_nothing(
    robot: httpx.AsyncClient, settings: Settings, fields: dict[str, str], status: int, fault: str
) -> None:
    answer = await send(robot, new_moth(1), **fields)
    assert (answer.status_code, fault in answer.text) == (status, True), answer.text
    assert folders(settings) == BEFORE


@pytest.mark.parametrize("version", ["1.0", "one", "1.0.0.0", "1.0.0-rc1", "01.0.0", "../1.1.0"])
async def test_a_version_that_is_none_is_refused_in_words(robot: httpx.AsyncClient, version: str) -> None:
    answer = await send(robot, new_moth(1), version=version)
    assert answer.status_code == 422
    expected = {"field": "version", "message": "expected three numbers such as 1.4.0"}
    assert answer.json()["errors"] == [expected]


async def test_what_nobody_foresaw_of_a_new_card_is_told_without_the_words_of_pydantic(
    robot: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_given: object, **_named: object) -> None:
        Taxon.model_validate({"label": "", "taxon_id": "7"})

    monkeypatch.setattr("models.adding.with_species", refused)
    answer = await send(robot, new_moth(1))
    assert answer.status_code == 422
    for word in ("pydantic", "validation error", "Taxon"):
        assert word not in answer.text


async def test_the_field_that_is_wrong_is_named(robot: httpx.AsyncClient) -> None:
    for fields, field in (
        ({"family": "lower"}, "family"),
        ({"genus": "Aurelia"}, "genus"),
        ({"label": "aurelia_viridis"}, "label"),
        ({"name": "Aurelia viridis"}, "name"),
    ):
        answer = await send(robot, new_moth(1), **fields)
        assert [each["field"] for each in answer.json()["errors"]] == [field], answer.text
    twice = await send(robot, new_moth(1), new_moth(1))
    assert [each["field"] for each in twice.json()["errors"]] == ["image"], twice.text


async def test_a_bad_photo_is_named(robot: httpx.AsyncClient, settings: Settings) -> None:
    text = await send(robot, new_moth(1), b"not a photo at all")
    assert (text.status_code, "Photo 2 (moth 2.jpg)" in text.text) == (415, True), text.text
    cut = await send(robot, photo(kind=0)[:600], new_moth(1))
    assert (cut.status_code, "Photo 1 (moth 1.jpg)" in cut.text) == (422, True), cut.text
    other = await robot.post(WHERE, files=[("other", ("x", b"", "image/jpeg"))], data={"name": "Nova alba"})
    assert other.status_code == 422
    none = await robot.post(WHERE, files=[("name", (None, "Nova alba"))])
    assert (none.status_code, "no photo was sent" in none.text) == (422, True)
    twice = await send(robot, new_moth(1), new_moth(2), new_moth(1))
    assert "photos 1 and 3 are the same file" in twice.text
    many = await send(robot, *map(new_moth, range(21)))
    assert (many.status_code, "at most 20 photos" in many.text) == (422, True)
    assert folders(settings) == BEFORE


async def test_a_second_species_is_added_to_the_first_and_the_first_is_not_added_again(
    robot: httpx.AsyncClient,
) -> None:
    assert (await send(robot, new_moth(1))).json()["version"] == "1.1.0"
    again = await send(robot, new_moth(2))
    assert again.status_code == 422
    assert "give all of them and the version before it as the base: 1.0.0" in again.text
    same_photo = await send(robot, new_moth(1), name="Nova nigra")
    assert "photo 1 is a photo that Nova alba was added from" in same_photo.text
    second = (await send(robot, new_moth(2), name="Nova nigra")).json()
    assert (second["version"], second["base"], second["num_species"]) == ("1.2.0", "1.1.0", 9)
    anew = (await send(robot, new_moth(1), new_moth(2), base="1.0.0", version="1.7.0")).json()
    assert (anew["version"], anew["num_species"]) == ("1.7.0", 8)


async def test_only_admins_may(client: httpx.AsyncClient, viewer: httpx.AsyncClient) -> None:
    assert (await send(client, new_moth(1))).status_code == 401
    assert (await send(viewer, new_moth(1))).status_code == 403
    assert (await viewer.get(PAGE)).status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
async def test_of_two_at_once_each_gets_a_version_of_its_own(app: FastAPI, settings: Settings) -> None:
    adder: SpeciesAdder = app.state.species_adder

    def wanted(name: str, seed: int) -> WantedSpecies:
        return WantedSpecies("tiny-moths", name, (NamedPhoto("moth", new_moth(seed)),), base="1.0.0")

    made = await asyncio.gather(
        adder.add(wanted("Nova alba", 1), actor="ana"), adder.add(wanted("Nova nigra", 2), actor="ben")
    )
    assert sorted(each.version.row.version for each in made) == ["1.1.0", "1.2.0"]
    assert folders(settings) == [*BEFORE, "tiny-moths/1.1.0", "tiny-moths/1.2.0"]
    for each in made:
        assert isinstance(settings.store, Path)
        bundle.read(settings.store / each.version.row.path)


async def test_a_chosen_version_that_is_taken_meanwhile_is_a_conflict(app: FastAPI) -> None:
    adder: SpeciesAdder = app.state.species_adder

    async def add(name: str, seed: int) -> str:
        photos = (NamedPhoto("moth", new_moth(seed)),)
        wanted = WantedSpecies("tiny-moths", name, photos, base="1.0.0", version="1.5.0")
        try:
            return (await adder.add(wanted, actor="ana")).version.row.version
        except Conflict:
            return "conflict"

    assert sorted(await asyncio.gather(add("Nova alba", 1), add("Nova nigra", 2))) == ["1.5.0", "conflict"]


async def test_a_bundle_that_lies_in_the_store_unregistered_is_left_alone(
    robot: httpx.AsyncClient, settings: Settings
) -> None:
    assert isinstance(settings.store, Path)
    write_tiny_bundle(settings.store, "tiny-moths", "1.1.0", seed=4)
    found = (await send(robot, new_moth(1))).json()
    assert (found["version"], found["base"]) == ("1.2.0", "1.0.0")


async def test_one_that_is_cut_off_leaves_nothing(app: FastAPI, settings: Settings) -> None:
    adder: SpeciesAdder = app.state.species_adder
    wanted = WantedSpecies("tiny-moths", "Nova alba", (NamedPhoto("moth", new_moth(1)),))
    for wait in (0.0, 0.05, 0.2, 0.4):
        adding = asyncio.create_task(adder.add(wanted, actor="ana"))
        await asyncio.sleep(wait)
        adding.cancel()
        try:
            await adding
        except asyncio.CancelledError:
            assert folders(settings) == BEFORE
        else:
            break  # it was quicker
    async with app.state.sessions() as session:
        versions = (await registry.get_model(session, "tiny-moths")).versions
    assert len(versions) == len([folder for folder in folders(settings) if folder.startswith("tiny")])


@pytest.mark.parametrize("settings", [{"require_signature": True}], indirect=True)
async def test_where_bundles_must_be_signed_it_is_said_how(robot: httpx.AsyncClient) -> None:
    refused = await send(robot, new_moth(1))
    assert (refused.status_code, "--out FOLDER" in refused.text) == (409, True)


async def token_of(admin: httpx.AsyncClient) -> str:
    page = await admin.get(PAGE)
    assert page.status_code == 200, page.text
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


async def test_the_page_adds_and_says_what_was_made(admin: httpx.AsyncClient) -> None:
    fields = {"form_token": await token_of(admin), "model": "tiny-moths", "base": "", "version": ""}
    answer = await send(admin, new_moth(1), new_moth(2), where=PAGE, **fields)
    assert answer.status_code == 303, answer.text
    page = (await admin.get(answer.headers["location"])).text
    assert "tiny-moths 1.1.0 was made" in page
    assert "added from 2 photos and not tested" in page
    refused = await send(admin, b"text", where=PAGE, name="Nova nigra", **fields)
    assert (refused.status_code, "Photo 1 (moth 1.jpg)" in refused.text) == (415, True)


async def test_a_refused_form_comes_back_as_it_was_filled_in(admin: httpx.AsyncClient) -> None:
    fields = {"form_token": await token_of(admin), "model": "tiny-moths", "base": "", "version": "7.0.0"}
    page = await send(admin, b"text", where=PAGE, name='Nova "nigra"', family="Noctuidae", **fields)
    assert page.status_code == 415
    for kept in ("Nova &#34;nigra&#34;", "Noctuidae", "7.0.0"):
        assert f'value="{kept}"' in page.text
    assert '<option value="tiny-moths" selected>' in page.text
    assert "choose the photos again" in page.text
    assert "choose the photos again" not in (await admin.get(PAGE)).text


async def test_a_form_from_elsewhere_is_refused(admin: httpx.AsyncClient, settings: Settings) -> None:
    refused = await send(admin, new_moth(1), where=PAGE, form_token="0" * 64, model="tiny-moths")
    assert refused.status_code == 403
    assert folders(settings) == BEFORE


def test_a_species_is_added_from_the_shell(server: Server, knowing_store: Path, tmp_path: Path) -> None:
    server.kill()
    store = Path(shutil.copytree(knowing_store, tmp_path / "shell store"))
    server.settings["STORE"] = str(store)
    server.settings["DATABASE_URL"] = f"sqlite+aiosqlite:///{tmp_path / 'shell.db'}"
    server.start().kill()
    photos = [tmp_path / f"{seed}.jpg" for seed in range(2)]
    for seed, path in enumerate(photos):
        path.write_bytes(new_moth(seed))
    command = ("model", "add-species", "tiny-moths", "--name", "Nova alba", *map(str, photos))
    out = server.run(*command, "--out", str(tmp_path / "out"))
    assert (out.returncode, (tmp_path / "out/tiny-moths/1.1.0/card.json").exists()) == (0, True), out.stderr
    assert not (store / "tiny-moths/1.1.0").exists()
    made = server.run(*command)
    assert "tiny-moths 1.1.0 is 1.0.0 with Nova alba, added from 2 photos." in made.stdout, made.stderr
    again = server.run(*command)
    assert (again.returncode, "in the species list already" in again.stderr) == (1, True)
    text = tmp_path / "text.jpg"
    text.write_text("no photo")
    bad = server.run("model", "add-species", "tiny-moths", "--name", "Nova nigra", str(text))
    assert (bad.returncode, str(text) in bad.stderr) == (1, True)
    missing = server.run("model", "add-species", "tiny-moths", "--name", "Nova nigra", "nothing.jpg")
    assert missing.returncode == 2
