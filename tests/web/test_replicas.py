"""A replica that cannot follow a promotion keeps what it has, and every replica's pages say so."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.db.repositories.registry import Entry
from app.db.session import Sessions
from app.db.tables import PromotionKind
from app.services import promotion
from app.services.promotion import Wanted
from app.services.replicas import AnsweringVersion, ReplicaState, Reporter
from app.settings import Settings
from tests.conftest import store_folder

HTML = {"Accept": "text/html"}
REPLICAS = "/models/tiny-moths/replicas"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With a store of this test's own."""
    store = Path(shutil.copytree(store_folder(settings), tmp_path / "store"))
    return settings.model_copy(update={"store": store})


async def deploy_elsewhere(sessions: Sessions, version: str, epoch: int) -> None:
    """What a promotion on another replica leaves in the database."""
    async with sessions() as session:
        wanted = Wanted("tiny-moths", version, epoch, "ben", "On another replica.")
        await promotion.promote(session, wanted, Entry(PromotionKind.PROMOTION, "ben", "On another replica."))
        await session.commit()


async def replicas_when(robot: httpx.AsyncClient, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            found: dict[str, Any] = (await robot.get(REPLICAS)).json()
            if is_so(found):
                return found
            await asyncio.sleep(0.05)


async def test_a_failed_preparation_leaves_the_old_version_and_says_so(
    app: FastAPI, robot: httpx.AsyncClient, admin: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    onnx = store_folder(settings) / "tiny-moths" / "1.1.0" / "model.onnx"
    onnx.write_bytes(onnx.read_bytes()[:-1])
    await deploy_elsewhere(sessions, "1.1.0", 1)
    found = await replicas_when(robot, lambda said: bool(said["replicas"][0]["answering"]["fault"]))
    assert (found["epoch"], found["num_behind"]) == (2, 1)
    (replica,) = found["replicas"]
    assert (replica["answering"]["version"], replica["answering"]["epoch"]) == ("1.0.0", 1)
    assert app.state.engine.get("tiny-moths").card.version == "1.0.0"
    html = (await admin.get("/admin/models", headers=HTML)).text
    assert "0 of 1 replicas answer with epoch 2." in html
    assert "still answers 1.0.0, epoch 1. It cannot load 1.1.0: model.onnx: " in html

    back = {"expected_epoch": 2, "reason": "It cannot be loaded."}
    assert (await robot.post("/models/tiny-moths/rollback", json=back)).status_code == 200
    found = (await robot.get(REPLICAS)).json()  # news at once: nothing is waited for
    assert (found["epoch"], found["num_behind"]) == (3, 0)
    assert "1 of 1 replicas answer with epoch 3." in (await admin.get("/admin/models", headers=HTML)).text


async def test_one_replica_says_of_another_that_it_is_behind(
    app: FastAPI, robot: httpx.AsyncClient, admin: httpx.AsyncClient, sessions: Sessions
) -> None:
    said = ReplicaState(answering=(AnsweringVersion(model="tiny-moths", version="1.0.0", epoch=1),))
    other = Reporter(sessions, lambda: said)
    await other.report_once()
    promoted = {"version": "1.1.0", "expected_epoch": 1, "reason": "Better."}
    assert (await robot.post("/models/tiny-moths/promote", json=promoted)).status_code == 200
    found = (await robot.get(REPLICAS)).json()
    assert (len(found["replicas"]), found["num_behind"]) == (2, 1)
    html = (await admin.get("/admin/models", headers=HTML)).text
    assert "1 of 2 replicas answer with epoch 2." in html
    assert "still answers 1.0.0, epoch 1. It follows within seconds." in html
    await other.leave()
    assert len((await robot.get(REPLICAS)).json()["replicas"]) == 1
