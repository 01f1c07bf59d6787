"""A candidate in the shadow: it answers beside the deployed version, in every replica, and in nobody's way."""

import asyncio
import csv
import io
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, text
from sqlalchemy.exc import DBAPIError

from app.db.tables import IdentificationRow
from app.services.shadowing import MAX_WAITING, Shadowing
from app.settings import Settings
from tests import drawn_photos
from tests.conftest import store_folder
from tests.serving import Server
from tests.tiny_bundle import write_tiny_bundle

HTML = {"Accept": "text/html"}
SHADOW = "/models/tiny-moths/shadow"
START = {"version": "1.1.0", "share": 1.0, "reason": "Does it know our site?"}
WHY = {"reason": "Seen enough."}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With a candidate, 1.2.0, that names many photos otherwise."""
    store = Path(shutil.copytree(store_folder(settings), tmp_path / "store"))
    write_tiny_bundle(store, "tiny-moths", "1.2.0", seed=5)
    return settings.model_copy(update={"store": store})


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.05)


def shadowing(app: FastAPI) -> Shadowing:
    found: Shadowing = app.state.answering.shadowing
    return found


async def start(robot: httpx.AsyncClient, app: FastAPI, **changed: Any) -> None:
    """Start it, and wait until this process runs it."""
    answer = await robot.post(SHADOW, json={**START, **changed})
    assert answer.status_code == 200, answer.text

    async def runs() -> bool:
        return bool(shadowing(app).counts())

    await until(runs)


async def identify(client: httpx.AsyncClient, number: int) -> dict[str, Any]:
    photo = drawn_photos.photo(kind=number % 7, seed=700 + number)
    answer = await client.post("/predict", content=photo, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def report(robot: httpx.AsyncClient, num_answers: int) -> dict[str, Any]:
    """The report, once so many answers are compared."""
    found: dict[str, Any] = {}

    async def complete() -> bool:
        found.update((await robot.get(SHADOW)).json())
        return bool(found["agreement"]) and found["agreement"][0]["num_answers"] == num_answers

    await until(complete)
    return found


async def test_what_a_candidate_answers_in_the_shadow_is_what_it_answers_once_deployed(
    app: FastAPI, robot: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    await start(robot, app, version="1.2.0")
    answers = [await identify(client, number) for number in range(14)]
    assert {each["model"]["version"] for each in answers} == {"1.0.0"}
    found = await report(robot, 14)
    assert (found["version"], found["deployed"], found["running"]["share"]) == ("1.2.0", "1.0.0", 1.0)
    promoted = {
        "version": "1.2.0",
        "expected_epoch": 1,
        "reason": "It does.",
        "override": "For this test alone.",
    }
    assert (await robot.post("/models/tiny-moths/promote", json=promoted)).status_code == 200
    deployed = [await identify(client, number) for number in range(14)]
    differing = {each["identification_id"]: each for each in found["differences"]}
    groups: dict[str, list[bool]] = {"all": [], "head": [], "middle": [], "tail": []}
    for old, new in zip(answers, deployed, strict=True):
        old_first, new_first = old["predictions"][0], new["predictions"][0]
        agrees = old_first["taxon"]["label"] == new_first["taxon"]["label"]
        for part in ("all", old_first["group"]):
            groups[part].append(agrees)
        if not agrees:
            line = differing[old["id"]]
            assert (line["deployed_label"], line["label"]) == (
                old_first["taxon"]["label"],
                new_first["taxon"]["label"],
            )
            assert line["probability"] == pytest.approx(new_first["probability"])
    assert {each["group"]: (each["num_answers"], each["num_agreeing"]) for each in found["agreement"]} == {
        part: (len(agreed), sum(agreed)) for part, agreed in groups.items()
    }
    assert not all(groups["all"]), "these two versions differ on none of these photos"


async def test_a_promoted_candidate_leaves_the_shadow_and_the_history_says_so(
    app: FastAPI, robot: httpx.AsyncClient
) -> None:
    await start(robot, app)
    promoted = {"version": "1.1.0", "expected_epoch": 1, "reason": "It does."}
    assert (await robot.post("/models/tiny-moths/promote", json=promoted)).status_code == 200
    history = (await robot.get("/models/tiny-moths/history")).json()
    assert [(each["kind"], each["reason"]) for each in history["shadows"]] == [
        ("stopped", "1.1.0 was deployed."),
        ("started", START["reason"]),
    ]
    lines = list(csv.DictReader(io.StringIO((await robot.get("/models/tiny-moths/history.csv")).text)))
    kinds = [line["kind"] for line in lines if line["kind"] != "added"]
    assert sorted(kinds[:2]) == ["promotion", "shadow stopped at 100.0%"]
    assert kinds[2:] == ["shadow started at 100.0%", "start"]

    async def ended() -> bool:
        return not shadowing(app).counts()

    await until(ended)


async def test_no_line_of_the_shadows_history_is_changed_or_deleted(
    app: FastAPI, robot: httpx.AsyncClient
) -> None:
    await start(robot, app)
    for statement in ("UPDATE shadow_event SET actor = 'somebody'", "DELETE FROM shadow_event"):
        async with app.state.sessions() as session:
            with pytest.raises(DBAPIError, match="append-only"):
                await session.execute(text(statement))


async def test_what_cannot_run_in_the_shadow_is_refused_with_the_reason(
    app: FastAPI, robot: httpx.AsyncClient
) -> None:
    for changed, status, words in (
        ({"version": "1.0.0"}, 409, "is deployed"),
        ({"version": "9.9.9"}, 404, "9.9.9"),
        ({"share": 0}, 422, "share"),
        ({"share": 1.01}, 422, "share"),
        ({"reason": "  "}, 422, "say why"),
        ({"shares": 1}, 422, "shares"),
    ):
        answer = await robot.post(SHADOW, json={**START, **changed})
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert (await robot.post(f"{SHADOW}/stop", json=WHY)).status_code == 409
    await start(robot, app)
    again = await robot.post(SHADOW, json=START)
    assert again.status_code == 409
    assert "key robot started it" in again.json()["detail"]
    other = await robot.post(f"{SHADOW}/stop", json={**WHY, "version": "1.2.0"})
    assert (other.status_code, "1.1.0 is in the shadow now" in other.text) == (409, True)
    assert (await robot.post(f"{SHADOW}/stop", json={**WHY, "version": "1.1.0"})).status_code == 200


async def test_a_shadow_is_stopped_from_the_shell_where_no_replica_stays_up(
    app: FastAPI, robot: httpx.AsyncClient, new_server: Callable[..., Server]
) -> None:
    await start(robot, app)
    shell = new_server()
    arguments = ("model", "stop-shadow", "tiny-moths", "--reason", "It ends every replica.")
    stopped = await asyncio.to_thread(shell.run, *arguments)
    assert (stopped.returncode, "no more" in stopped.stdout) == (0, True), stopped.stderr
    again = await asyncio.to_thread(shell.run, *arguments)
    assert (again.returncode, "No candidate of tiny-moths" in again.stderr) == (1, True)


async def test_of_two_who_start_a_shadow_at_once_one_is_told_of_the_other(robot: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(robot.post(SHADOW, json=START) for _ in range(6)))
    assert sorted(each.status_code for each in answers) == [200, 409, 409, 409, 409, 409]
    events = (await robot.get("/models/tiny-moths/history")).json()["shadows"]
    assert len(events) == 1


async def test_under_load_comparisons_are_dropped_and_no_answer_is(
    app: FastAPI, robot: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    await start(robot, app)
    busy = True
    shadowing(app).is_busy = lambda: busy
    for number in range(MAX_WAITING + 5):
        await identify(client, number % 3)
    (counts,) = shadowing(app).counts()
    assert (counts.num_compared, counts.num_dropped) == (0, 5)
    busy = False
    await report(robot, MAX_WAITING)


async def test_a_comparison_goes_when_its_identification_goes(
    app: FastAPI, robot: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    await start(robot, app)
    for number in range(3):
        await identify(client, number)
    await report(robot, 3)
    async with app.state.sessions() as session:
        await session.execute(text("DELETE FROM identification_photo"))
        await session.execute(delete(IdentificationRow))
        await session.commit()
    assert (await report(robot, 0))["differences"] == []


async def test_a_small_share_asks_the_candidate_now_and_then(
    app: FastAPI, robot: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    await start(robot, app, share=0.5)
    ids = [int((await identify(client, number % 3))["id"].replace("-", ""), 16) for number in range(20)]
    await report(robot, sum(number % 100_000 < 50_000 for number in ids))


async def test_a_damaged_candidate_is_named_and_harms_nobody(
    app: FastAPI, robot: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    app.state.answering.shadowing.store = app.state.settings.data_dir  # nothing lies there
    await start(robot, app)
    await identify(client, 0)

    async def reported() -> bool:
        replicas = (await robot.get("/models/tiny-moths/replicas")).json()["replicas"]
        return any(each["shadow"] and each["shadow"]["fault"] for each in replicas)

    await until(reported)


async def test_the_page_starts_a_shadow_shows_the_differences_and_stops_it(
    app: FastAPI, admin: httpx.AsyncClient, robot: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    page = "/admin/models/tiny-moths/shadow"
    html = (await admin.get(page, headers=HTML)).text
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', html)
    assert token is not None
    form = {"form_token": token[1], "version": "1.1.0", "percent": "a lot", "reason": "Try it."}
    refused = await admin.post(f"{page}/start", data=form, headers=HTML)
    assert (refused.status_code, "expected a number such as 10" in refused.text) == (422, True)
    assert 'value="Try it."' in refused.text
    assert (await admin.post(f"{page}/start", data={**form, "percent": "100 %"})).status_code == 303

    async def runs() -> bool:
        return bool(shadowing(app).counts())

    await until(runs)
    for number in range(14):
        await identify(client, number)
    found = await report(robot, 14)
    html = (await admin.get(page, headers=HTML)).text
    assert "1.1.0 answers 100.0% of the requests in the shadow." in html
    for each in found["differences"]:
        assert f"/identifications/{each['identification_id']}" in html
    last = found["differences"][0]["identification_id"]
    older = await admin.get(f"{page}?before={last}", headers=HTML)
    assert older.status_code == 200
    assert f"/identifications/{last}" not in older.text
    assert "1.1.0 answers 100.0%" in (await admin.get("/admin/models", headers=HTML)).text
    stop = {"form_token": token[1], "reason": "Enough.", "version": "1.1.0"}
    assert 'name="version" value="1.1.0"' in html
    late = await admin.post(f"{page}/end", data={**stop, "version": "1.2.0"})
    assert (late.status_code, "1.1.0 is in the shadow now, not 1.2.0" in late.text) == (409, True)
    stopped = await admin.post(f"{page}/end", data=stop)
    assert stopped.status_code == 303
    html = (await admin.get(page, headers=HTML)).text
    assert "1.1.0 stopped at 100.0%, by ana" in html
    assert "Start the shadow" in html
    assert "Enough." in (await admin.get("/admin/models/tiny-moths/history", headers=HTML)).text
