"""What answers of a version with an added species say: their sets, what lists do to it, and what is near to it."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.errors import Busy, InvalidField
from app.services.adding.species import NamedPhoto, SpeciesAdder, WantedSpecies
from app.settings import Settings
from models import bundle
from tests import drawn_photos
from tests.tiny_bundle import TAXA, write_tiny_bundle
from tests.trusted_bundle import write_trusted_bundle
from tests.web.conftest import ask
from tests.web.test_adding_species import send

OLD = [drawn_photos.photo(kind=kind, seed=30 + kind) for kind in range(len(TAXA))]


@pytest.fixture(scope="module")
def trusted_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose sets promise something, and to which species can be added."""
    folder = tmp_path_factory.mktemp("store")
    write_trusted_bundle(folder, "tiny-moths", "1.0.0", with_adding=True)
    return folder


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What a version answers is no question of the database: SQLite alone."""
    return f"sqlite+aiosqlite:///{tmp_path / 'answers.db'}"


@pytest.fixture
def settings(settings: Settings, trusted_store: Path, tmp_path: Path) -> Settings:
    """With a store of this test's own."""
    return settings.model_copy(update={"store": Path(shutil.copytree(trusted_store, tmp_path / "store"))})


async def promote(robot: httpx.AsyncClient, app: FastAPI, version: str = "1.1.0") -> None:
    wanted = {"version": version, "expected_epoch": 1, "reason": "It flies."}
    promoted = await robot.post("/models/tiny-moths/promote", json=wanted)
    assert promoted.status_code == 200, promoted.text
    async with asyncio.timeout(30):
        while app.state.engine.get("tiny-moths").card.version != version:
            await asyncio.sleep(0.05)


def labels(answer: dict[str, Any]) -> set[str]:
    return {taxon["label"] for taxon in answer["prediction_set"]["taxa"]}


async def test_sets_keep_their_promise_for_the_others_and_say_that_there_is_none_for_the_added_one(
    robot: httpx.AsyncClient, app: FastAPI
) -> None:
    before = [await ask(robot, photo) for photo in OLD]
    assert (await send(robot, *map(drawn_photos.new_moth, range(5)))).status_code == 201
    await promote(robot, app)
    after = [await ask(robot, photo) for photo in OLD]
    assert all(labels(new) >= labels(old) for new, old in zip(after, before, strict=True))
    found = after[0]["prediction_set"]
    assert (found["promised"], found["num_without_promise"]) == (True, 1)
    none_for_it = "Nothing is promised for photos of the species that was added without training."
    assert found["promise"].endswith(none_for_it)
    assert before[0]["prediction_set"]["num_without_promise"] == 0
    page = (await robot.get(f"/identifications/{after[0]['id']}", headers={"Accept": "text/html"})).text
    assert none_for_it in page
    both = (await ask(robot, OLD[0], OLD[1]))["prediction_set"]
    assert (both["promised"], both["num_without_promise"]) == (False, 0)
    assert "nova_alba" in labels(await ask(robot, drawn_photos.new_moth(77)))


async def test_a_list_that_expects_everything_leaves_it_where_it_was_beside_the_others_together(
    robot: httpx.AsyncClient, app: FastAPI
) -> None:
    assert (await send(robot, drawn_photos.new_moth(1))).status_code == 201
    await promote(robot, app)
    names = [*(taxon.display_name for taxon in TAXA), "Nova alba"]
    added = await robot.post(
        "/models/tiny-moths/checklists",
        params={"checklist": "all"},
        content="\n".join(["scientific_name", *names]).encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert (added.status_code, added.json()["num_matched"]) == (200, 8), added.text
    listed = await ask(robot, drawn_photos.new_moth(77), prior="all", top_k="8")
    gain = {
        each["taxon"]["label"]: each["probability"] / each["probability_without_checklist"]
        for each in listed["predictions"]
    }
    head, tail = TAXA[0].label, TAXA[-1].label  # of 40 photos and of one
    assert gain[head] < gain["nova_alba"] < gain[tail]


@pytest.fixture
def near_settings(settings: Settings) -> Settings:
    """The same, with codes of the training photos."""
    assert isinstance(settings.store, Path)
    shutil.rmtree(settings.store / "tiny-moths")
    write_tiny_bundle(settings.store, "tiny-moths", "1.0.0", with_unknown=True, with_neighbours=True)
    return settings


@pytest.mark.usefixtures("near_settings")
async def test_that_none_of_its_photos_is_near_is_not_held_against_it(
    robot: httpx.AsyncClient, app: FastAPI
) -> None:
    assert (await send(robot, *map(drawn_photos.new_moth, range(5)))).status_code == 201
    await promote(robot, app)
    answer = await ask(robot, drawn_photos.new_moth(77), explain="true")
    assert answer["predictions"][0]["taxon"]["label"] == "nova_alba"
    page = (await robot.get(f"/identifications/{answer['id']}", headers={"Accept": "text/html"})).text
    assert "None of them can be of Nova alba" in page
    assert "look twice" not in page


def wanted(name: str, seed: int) -> WantedSpecies:
    return WantedSpecies("tiny-moths", name, (NamedPhoto("moth", drawn_photos.new_moth(seed)),))


async def test_of_two_at_once_that_name_no_base_the_second_is_added_to_the_first(
    app: FastAPI, settings: Settings
) -> None:
    adder: SpeciesAdder = app.state.species_adder
    names = ("Nova alba", "Nova nigra", "Nova rubra")
    made = await asyncio.gather(
        *(adder.add(wanted(name, seed), actor="ana") for seed, name in enumerate(names))
    )
    steps = sorted((each.version.row.version, each.base) for each in made)
    assert steps == [("1.1.0", "1.0.0"), ("1.2.0", "1.1.0"), ("1.3.0", "1.2.0")]
    assert isinstance(settings.store, Path)
    card = bundle.read(settings.store / "tiny-moths/1.3.0").card
    assert {taxon.scientific_name for taxon in card.taxa} >= set(names)


async def test_the_same_species_twice_at_once_is_added_once(app: FastAPI) -> None:
    adder: SpeciesAdder = app.state.species_adder
    adding = (adder.add(wanted("Nova alba", seed), actor="ana") for seed in range(2))
    found = await asyncio.gather(*adding, return_exceptions=True)
    (refused,) = [each for each in found if isinstance(each, BaseException)]
    assert isinstance(refused, InvalidField)
    assert "in the species list already" in str(refused.detail)


async def test_a_service_that_stops_says_so_to_who_adds_a_species(app: FastAPI) -> None:
    await app.state.decoder.stop()
    with pytest.raises(Busy, match="stopping"):
        await app.state.species_adder.add(wanted("Nova alba", 1), actor="ana")
