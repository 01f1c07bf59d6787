import io
import zipfile
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.settings import Settings
from models import bundle
from tests.conftest import store_folder
from tests.web.conftest import connect, new_key

PROMOTE = {"version": "1.1.0", "expected_epoch": 1, "reason": "Better on the tail."}


async def test_every_model_is_listed_with_what_is_deployed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models")
    assert answer.status_code == 200
    models = {model["name"]: model for model in answer.json()["models"]}
    assert sorted(models) == ["other-moths", "tiny-moths"]
    tiny = models["tiny-moths"]
    assert tiny["versions"] == ["1.0.0", "1.1.0"]
    assert (tiny["deployed"]["version"], tiny["deployed"]["epoch"]) == ("1.0.0", 1)
    assert tiny["is_default"]
    assert not models["other-moths"]["is_default"]


async def test_a_model_tells_of_each_version(client: httpx.AsyncClient) -> None:
    model = (await client.get("/models/tiny-moths")).json()
    assert [(each["version"], each["deployed"]) for each in model["details"]] == [
        ("1.0.0", True),
        ("1.1.0", False),
    ]
    assert model["details"][0]["figures"]


async def test_a_version_gives_its_card_and_its_evaluation(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    good = bundle.read(store_folder(settings) / "tiny-moths" / "1.1.0")
    detail = (await client.get("/models/tiny-moths/versions/1.1.0")).json()
    assert detail["sha256"] == good.sha256
    assert detail["card"] == good.card.model_dump(mode="json")
    evaluation = (await client.get("/models/tiny-moths/versions/1.1.0/evaluation")).json()
    assert evaluation == good.evaluation.model_dump(mode="json")


async def test_the_species_list_says_how_well_each_is_known(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    good = bundle.read(store_folder(settings) / "tiny-moths" / "1.0.0")
    species = (await client.get("/models/tiny-moths/species")).json()["species"]
    assert [each["taxon"]["label"] for each in species] == [taxon.label for taxon in good.card.taxa]
    assert [each["training_count"] for each in species] == list(good.card.training_counts)
    assert [each["group"] for each in species] == list(good.card.groups)
    assert species[0]["evidence"]["num_test_images"] == good.evaluation.species[0].num_test_images


async def test_a_bundle_that_was_taken_along_is_the_bundle(
    client: httpx.AsyncClient, settings: Settings, tmp_path: Path
) -> None:
    answer = await client.get("/models/tiny-moths/versions/1.0.0/bundle")
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="tiny-moths-1.0.0.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    copy = bundle.read(tmp_path / "tiny-moths-1.0.0")
    assert copy.sha256 == bundle.read(store_folder(settings) / "tiny-moths" / "1.0.0").sha256
    assert answer.headers["etag"] == f'"{copy.sha256}"'
    assert (await client.get("/models/tiny-moths/versions/1.0.0/bundle")).content == answer.content


@pytest.mark.parametrize(("is_open", "sharing"), [(True, "public"), (False, "private")])
async def test_a_proxy_keeps_a_bundle_for_others_only_where_everybody_may_have_it(
    admin: httpx.AsyncClient, app: FastAPI, *, is_open: bool, sharing: str
) -> None:
    app.state.settings = app.state.settings.model_copy(update={"public_identify": is_open})
    answer = await admin.get("/models/tiny-moths/versions/1.0.0/bundle")
    assert answer.headers["cache-control"] == f"{sharing}, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "path",
    [
        "/models/nothing",
        "/models/nothing/species",
        "/models/nothing/versions/1.0.0",
        "/models/tiny-moths/versions/9.9.9",
        "/models/tiny-moths/versions/9.9.9/evaluation",
        "/models/tiny-moths/versions/9.9.9/bundle",
        "/models/tiny-moths/versions/..%2f..%2fother-moths/bundle",
        "/models/%2e%2e/versions/1.0.0/bundle",
        f"/models/{'x' * 3000}",
    ],
)
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


async def test_a_character_that_no_name_has_is_no_fault_of_ours(client: httpx.AsyncClient) -> None:
    assert (await client.get("/models/a%00b")).status_code in (404, 422)


async def test_an_admin_promotes_and_the_next_answer_is_the_new_version(
    admin: httpx.AsyncClient, app: FastAPI
) -> None:
    answer = await admin.post("/models/tiny-moths/promote", json=PROMOTE)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["from_version"], told["to_version"], told["epoch"], told["actor"]) == (
        "1.0.0",
        "1.1.0",
        2,
        "ana",
    )
    deployed = app.state.engine.get("tiny-moths")
    assert (deployed.card.version, deployed.epoch) == ("1.1.0", 2)


async def test_the_second_of_two_promotions_is_told_who_was_first(
    admin: httpx.AsyncClient, robot: httpx.AsyncClient
) -> None:
    assert (await robot.post("/models/tiny-moths/promote", json=PROMOTE)).status_code == 200
    late = await admin.post("/models/tiny-moths/promote", json=PROMOTE)
    assert late.status_code == 409
    assert late.json()["type"] == "/problems/stale-epoch"
    assert "key robot deployed 1.1.0" in late.json()["detail"]


async def test_a_rollback_and_the_history_of_it_all(robot: httpx.AsyncClient, app: FastAPI) -> None:
    await robot.post("/models/tiny-moths/promote", json=PROMOTE)
    back = await robot.post(
        "/models/tiny-moths/rollback", json={"expected_epoch": 2, "reason": "Wrong names in the field."}
    )
    assert back.status_code == 200, back.text
    assert app.state.engine.get("tiny-moths").card.version == "1.0.0"
    history = (await robot.get("/models/tiny-moths/history")).json()["history"]
    assert [(each["to_version"], each["epoch"]) for each in history] == [
        ("1.0.0", 3),
        ("1.1.0", 2),
        ("1.0.0", 1),
    ]
    assert history[0]["reason"] == "Wrong names in the field."


@pytest.mark.parametrize(("method", "path"), [("POST", "promote"), ("POST", "rollback"), ("GET", "history")])
async def test_only_admins_touch_what_is_deployed(
    client: httpx.AsyncClient, viewer: httpx.AsyncClient, app: FastAPI, method: str, path: str
) -> None:
    body = PROMOTE if path == "promote" else {"expected_epoch": 1, "reason": "x"}
    request = {"json": body} if method == "POST" else {}
    address = f"/models/tiny-moths/{path}"
    nobody = await client.request(method, address, **request)  # type: ignore[arg-type]
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert (await viewer.request(method, address, **request)).status_code == 403  # type: ignore[arg-type]
    async with connect(app, Authorization=f"Bearer {await new_key(app, 'predict')}") as tablet:
        assert (await tablet.request(method, address, **request)).status_code == 403  # type: ignore[arg-type]
    async with connect(app, Authorization="Bearer made-up") as stranger:
        assert (await stranger.request(method, address, **request)).status_code == 401  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "1.1.0", "expected_epoch": 1},
        {"version": "1.1.0", "expected_epoch": 1, "reason": " "},
        {"version": "1.1.0", "expected_epoch": -1, "reason": "x"},
        {"version": "1.1.0", "expected_epoch": 10**30, "reason": "x"},
        {"version": "1.1.0", "expected_epoch": 1, "reason": "x" * 1001},
        {"version": "1.1.0", "expected_epoch": 1, "reason": "x", "force": True},
    ],
)
async def test_a_promotion_says_all_it_must_and_no_more(
    robot: httpx.AsyncClient, wrong: dict[str, object]
) -> None:
    answer = await robot.post("/models/tiny-moths/promote", json=wrong)
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_another_site_cannot_promote_in_an_admins_browser(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(
        "/models/tiny-moths/promote", json=PROMOTE, headers={"Origin": "https://evil.net"}
    )
    assert answer.status_code == 403
    assert (await admin.get("/models/tiny-moths")).json()["deployed"]["epoch"] == 1


async def test_a_damaged_candidate_changes_nothing(
    robot: httpx.AsyncClient,
    app: FastAPI,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(app.state.deployer, "_store", tmp_path / "gone")
    answer = await robot.post("/models/tiny-moths/promote", json=PROMOTE)
    assert answer.status_code == 409
    assert str(tmp_path) not in answer.text
    assert (await robot.get("/models/tiny-moths")).json()["deployed"]["epoch"] == 1
