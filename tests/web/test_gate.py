"""The gate over HTTP and on its pages: refused, overridden, taken back, and all of it in the history."""

import csv
import io
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.settings import Settings
from tests.conftest import store_folder
from tests.tiny_bundle import write_tiny_bundle

HTML = {"Accept": "text/html"}
WORSE = {"version": "1.2.0", "expected_epoch": 1, "reason": "It is newer."}
WHY = "The test photos of the tail were mislabelled."

OLD_COLUMNS = [
    *("model", "epoch", "created_at", "kind", "from_version", "to_version", "actor", "reason"),
    *("override_reason", "verdict", "refusals", "basis", "from_evaluation_sha256", "to_evaluation_sha256"),
]
"""What was there before additions were told: who reads the table by number goes on reading the same."""


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With a candidate, 1.2.0, that loses half of the tail."""
    store = Path(shutil.copytree(store_folder(settings), tmp_path / "store"))
    write_tiny_bundle(store, "tiny-moths", "1.2.0", seed=5)
    return settings.model_copy(update={"store": store})


async def send(admin: httpx.AsyncClient, act: str, **fields: str) -> httpx.Response:
    """What a form of the models page sends."""
    html = (await admin.get("/admin/models", headers=HTML)).text
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', html)
    assert token is not None
    form = {"form_token": token[1], "model": "tiny-moths", **fields}
    return await admin.post(f"/admin/models/{act}", data=form, headers=HTML)


def article(html: str, version: str) -> str:
    """The card of one version of tiny-moths."""
    found = re.search(
        rf'<article[^>]*aria-labelledby="tiny-moths-{re.escape(version)}".*?</article>', html, re.S
    )
    assert found is not None
    return found[0]


async def test_a_harmful_promotion_is_refused_with_every_reason_and_can_be_overridden(
    robot: httpx.AsyncClient, app: FastAPI
) -> None:
    verdict = (await robot.get("/models/tiny-moths/versions/1.2.0/verdict")).json()
    assert (verdict["candidate"], verdict["deployed"], verdict["basis"]) == ("1.2.0", "1.0.0", "paired")
    refused = await robot.post("/models/tiny-moths/promote", json=WORSE)
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["type"] == "/problems/promotion-refused"
    assert [each["field"] for each in problem["errors"]] == [
        f"{each['rule']}.{each['subject']}" for each in verdict["refusals"]
    ]
    assert app.state.engine.get("tiny-moths").epoch == 1
    done = await robot.post("/models/tiny-moths/promote", json={**WORSE, "override": WHY})
    assert done.status_code == 200, done.text
    assert done.json()["override_reason"] == WHY
    assert done.json()["verdict"] == verdict
    assert app.state.engine.get("tiny-moths").card.version == "1.2.0"


async def test_the_history_tells_it_all_as_json_csv_and_page(
    robot: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await robot.post("/models/tiny-moths/promote", json={**WORSE, "override": WHY})
    await robot.post("/models/tiny-moths/rollback", json={"expected_epoch": 2, "reason": "It was worse."})
    told = (await robot.get("/models/tiny-moths/history")).json()
    lines: list[dict[str, Any]] = told["history"]
    assert [(each["epoch"], each["kind"], each["to_version"]) for each in lines] == [
        (3, "rollback", "1.0.0"),
        (2, "promotion", "1.2.0"),
        (1, "start", "1.0.0"),
    ]
    assert lines[0]["from_evaluation_sha256"] == lines[1]["to_evaluation_sha256"]
    answer = await robot.get("/models/tiny-moths/history.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="tiny-moths-history.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["verdict"] for row in rows if row["epoch"]] == ["passed", "overridden", "not judged"]
    assert rows[1]["override_reason"] == WHY
    html = (await admin.get("/admin/models/tiny-moths/history", headers=HTML)).text
    for words in (WHY, "It was worse.", "Recall of the tail falls", lines[1]["to_evaluation_sha256"]):
        assert words in html


async def test_the_history_says_who_added_which_version_and_keeps_its_columns_in_their_places(
    robot: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    told = (await robot.get("/models/tiny-moths/history")).json()["additions"]
    assert told == (await robot.get("/models/tiny-moths/additions")).json()["additions"]
    assert {each["version"] for each in told} == {"1.0.0", "1.1.0", "1.2.0"}
    answer = await robot.get("/models/tiny-moths/history.csv")
    header, *lines = csv.reader(io.StringIO(answer.text))
    assert header[:14] == OLD_COLUMNS
    added = [dict(zip(header, line, strict=True)) for line in lines if line[3] == "added"]
    for row, each in zip(added, told, strict=True):
        assert row["to_version"] == each["version"]
        assert row["actor"] == "start"
        assert row["bundle_sha256"] == each["sha256"]
        assert row["created_at"][:19] == each["created_at"][:19]
        assert row["epoch"] == row["verdict"] == row["signed_by"] == ""
    html = (await admin.get("/admin/models/tiny-moths/history", headers=HTML)).text
    assert "Versions added" in html
    assert html.count("found in the store at a start") == 3


async def test_there_is_one_rollback_and_then_none(robot: httpx.AsyncClient) -> None:
    await robot.post("/models/tiny-moths/promote", json={**WORSE, "override": WHY})
    back = {"expected_epoch": 2, "reason": "x"}
    assert (await robot.post("/models/tiny-moths/rollback", json=back)).status_code == 200
    late = await robot.post("/models/tiny-moths/rollback", json=back)
    assert (late.status_code, late.json()["type"]) == (409, "/problems/stale-epoch")
    assert "key robot deployed 1.0.0" in late.json()["detail"]
    again = await robot.post("/models/tiny-moths/rollback", json={**back, "expected_epoch": 3})
    assert again.status_code == 409
    assert "no earlier version" in again.json()["detail"]


async def test_the_page_shows_what_the_gate_says_before_anybody_presses(admin: httpx.AsyncClient) -> None:
    html = (await admin.get("/admin/models", headers=HTML)).text
    worse, better = article(html, "1.2.0"), article(html, "1.1.0")
    assert "The gate refuses it in place of 1.0.0" in worse
    assert "Recall of the tail falls from 62.5% to 31.2%" in worse
    assert 'name="override"' in worse
    assert "Override and promote 1.2.0" in worse
    assert "The gate lets it replace 1.0.0" in better
    assert 'name="override"' not in better


async def test_an_override_and_a_rollback_by_form(admin: httpx.AsyncClient) -> None:
    refused = await send(admin, "promote", **{key: str(value) for key, value in WORSE.items()})
    assert refused.status_code == 409
    assert "This version would make something worse" in refused.text
    done = await send(admin, "promote", override=WHY, **{key: str(value) for key, value in WORSE.items()})
    assert done.status_code == 303
    html = (await admin.get("/admin/models", headers=HTML)).text
    assert "Roll back to 1.0.0" in article(html, "1.0.0")
    assert "The gate" not in article(html, "1.0.0")
    back = {"version": "1.0.0", "expected_epoch": "2", "reason": "It was worse."}
    elsewhere = await send(admin, "rollback", **{**back, "version": "1.1.0"})
    assert elsewhere.status_code == 409
    assert "leads to 1.0.0 now, not to 1.1.0" in elsewhere.text
    assert (await send(admin, "rollback", **back)).status_code == 303
    assert (await admin.get("/models/tiny-moths")).json()["deployed"]["version"] == "1.0.0"


async def test_species_are_protected_and_freed_on_the_page(admin: httpx.AsyncClient) -> None:
    assert (await send(admin, "protect", label="silentia_lutea")).status_code == 303
    html = (await admin.get("/admin/models", headers=HTML)).text
    assert "Protect no more" in html
    wrong = await send(admin, "protect", label="silentia_luteo")
    assert wrong.status_code == 422
    assert "did you mean silentia_lutea?" in wrong.text
    assert (await send(admin, "unprotect", label="silentia_lutea")).status_code == 303
    assert "Protect no more" not in (await admin.get("/admin/models", headers=HTML)).text


@pytest.mark.parametrize(
    "path",
    [
        "/models/tiny-moths/versions/1.1.0/verdict",
        "/models/tiny-moths/history.csv",
        "/admin/models/tiny-moths/history",
    ],
)
async def test_verdicts_and_the_history_are_for_admins(
    client: httpx.AsyncClient, viewer: httpx.AsyncClient, path: str
) -> None:
    assert (await client.get(path)).status_code == 401
    assert (await viewer.get(path)).status_code == 403
