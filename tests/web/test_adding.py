"""A version is added over the API by a real checking process, or refused with the file and the fault.

Which database it is makes no difference to the checks, so they run on SQLite; what does is in the last tests.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.services.adding import keys, signatures
from app.settings import Settings
from models import bundle
from tests import hostile_bundles as hostile
from tests.hostile_bundles import files_of, hashed_anew, with_entry, with_graph, zipped
from tests.tiny_bundle import TAXA, write_tiny_bundle
from tests.web.conftest import connect, folders, sqlite_unless_asked, with_own_store

Files = dict[str, bytes]
WHERE = "/models/tiny-moths/versions"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles that are in no store yet."""
    folder = tmp_path_factory.mktemp("made")
    write_tiny_bundle(folder, "tiny-moths", "1.2.0", seed=5)
    write_tiny_bundle(folder, "new-moths", "1.0.0", seed=6, with_golden=False, with_predictions=False)
    return folder


@pytest.fixture(scope="module")
def files(made: Path) -> Files:
    return files_of(made / "tiny-moths" / "1.2.0")


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_unless_asked(request, tmp_path)


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, settings: Settings, shared_store: Path, tmp_path: Path
) -> Settings:
    """With a store of this test's own."""
    return with_own_store(request, settings, shared_store, tmp_path)


BEFORE = ["other-moths/1.0.0", "tiny-moths/1.0.0", "tiny-moths/1.1.0"]


async def send(client: httpx.AsyncClient, data: bytes, where: str = WHERE) -> httpx.Response:
    return await client.post(where, content=data, headers={"Content-Type": "application/zip"}, timeout=120)


async def test_a_bundle_becomes_a_candidate_and_the_history_says_who_added_it(
    robot: httpx.AsyncClient, settings: Settings, files: Files
) -> None:
    answer = await send(robot, zipped(files, "tiny-moths-1.2.0/"))
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/models/tiny-moths/versions/1.2.0"
    found = answer.json()
    assert (found["model"], found["version"], found["deployed"]) == ("tiny-moths", "1.2.0", False)
    assert (found["compared_with"], found["species_added"], found["species_removed"]) == ("1.0.0", [], [])
    assert (found["signed_by"], found["notes"]) == (None, [])
    assert folders(settings) == [*BEFORE, "tiny-moths/1.2.0"]

    (newest, *_) = (await robot.get("/models/tiny-moths/additions")).json()["additions"]
    assert newest["actor"] == "key robot"
    assert (newest["version"], newest["sha256"]) == ("1.2.0", found["sha256"])
    detail = (await robot.get("/models/tiny-moths")).json()
    assert detail["versions"] == ["1.0.0", "1.1.0", "1.2.0"]
    assert (detail["deployed"]["version"], detail["deployed"]["epoch"]) == ("1.0.0", 1)
    promoted = await robot.post(
        "/models/tiny-moths/promote",
        json={"version": "1.2.0", "expected_epoch": 1, "reason": "Added.", "override": "It is only a test."},
    )
    assert promoted.status_code in (200, 422), promoted.text  # 422: nothing called for an override


async def test_the_same_bundle_again_changes_nothing_and_other_bytes_are_a_conflict(
    robot: httpx.AsyncClient, settings: Settings, files: Files
) -> None:
    assert (await send(robot, zipped(files))).status_code == 201
    again = await send(robot, zipped(files, "packed-otherwise/"))
    assert again.status_code == 200
    changed = hashed_anew({**files, bundle.README: b"# Another text\n"})
    refused = await send(robot, zipped(changed))
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    assert "tiny-moths 1.2.0 is there already with other content" in refused.json()["detail"]
    assert folders(settings) == [*BEFORE, "tiny-moths/1.2.0"]
    assert len((await robot.get("/models/tiny-moths/additions")).json()["additions"]) == 3


async def test_the_first_version_of_a_new_model_answers_nobody_until_an_admin_promotes_it(
    robot: httpx.AsyncClient, app: FastAPI, made: Path
) -> None:
    answer = await send(robot, zipped(files_of(made / "new-moths" / "1.0.0")), "/models/new-moths/versions")
    assert (answer.status_code, answer.json()["deployed"]) == (201, False)
    assert [note.split(",")[0] for note in answer.json()["notes"]] == [
        "It carries no golden images",
        "It carries no predictions",
    ]
    await app.state.deployer.follow_once()
    assert "new-moths" not in [each.card.name for each in app.state.engine.deployed()]
    asked = {"version": "1.0.0", "reason": "It knows the new moths."}
    for path, body, words in (
        ("promote", {**asked, "expected_epoch": 1}, "so the epoch to expect is 0"),
        (
            "promote",
            {**asked, "expected_epoch": 0, "override": "It is only a test."},
            "nothing speaks against",
        ),
        ("rollback", {"expected_epoch": 0, "reason": "x"}, "no earlier version"),
    ):
        refused = await robot.post(f"/models/new-moths/{path}", json=body)
        assert (refused.status_code in (409, 422), words in refused.text) == (True, True), refused.text
    promoted = await robot.post("/models/new-moths/promote", json={**asked, "expected_epoch": 0})
    assert promoted.status_code == 200, promoted.text
    told = promoted.json()
    assert (told["from_version"], told["to_version"], told["epoch"]) == (None, "1.0.0", 1)
    assert (told["verdict"], told["actor"], told["reason"]) == (None, "key robot", asked["reason"])
    assert app.state.engine.get("new-moths").epoch == 1
    again = await robot.post("/models/new-moths/promote", json={**asked, "expected_epoch": 0})
    assert (again.status_code, again.json()["type"]) == (409, "/problems/stale-epoch"), again.text


async def test_of_two_admins_who_deploy_a_first_version_at_once_one_wins(
    robot: httpx.AsyncClient, made: Path
) -> None:
    await send(robot, zipped(files_of(made / "new-moths" / "1.0.0")), "/models/new-moths/versions")
    body = {"version": "1.0.0", "reason": "Me first.", "expected_epoch": 0}
    both = await asyncio.gather(*(robot.post("/models/new-moths/promote", json=body) for _ in range(2)))
    assert sorted(each.status_code for each in both) == [200, 409], [each.text for each in both]
    assert len((await robot.get("/models/new-moths/history")).json()["history"]) == 1


async def test_the_page_says_that_a_new_model_waits_and_deploys_it(
    robot: httpx.AsyncClient, admin: httpx.AsyncClient, app: FastAPI, made: Path
) -> None:
    await send(robot, zipped(files_of(made / "new-moths" / "1.0.0")), "/models/new-moths/versions")
    html = (await admin.get("/admin/models", headers={"Accept": "text/html"})).text
    part = html[html.index('id="new-moths"') :]
    part = part[: part.index("</section>")]
    assert "Nothing answers for this model yet" in part
    assert "LIGHTTRAP_DEFAULT_MODEL" not in part, "tiny-moths stays the default"
    links = re.findall(r'href="(/[^"#]*)"', part)
    assert [link for link in links if (await admin.get(link)).status_code != 200] == []
    assert 'name="expected_epoch" value="0"' in part
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', part)
    assert token is not None
    form = {"form_token": token[1], "model": "new-moths", "version": "1.0.0", "expected_epoch": "0"}
    sent = await admin.post("/admin/models/promote", data={**form, "reason": "It knows the new moths."})
    assert sent.status_code == 303, sent.text
    assert app.state.engine.get("new-moths").epoch == 1


async def test_species_that_come_and_go_are_named(robot: httpx.AsyncClient, files: Files) -> None:
    old, new = TAXA[0].label, "aurelia_nova"
    renamed = {
        name: data.replace(old.encode(), new.encode()) if name != bundle.MODEL else data
        for name, data in files.items()
    }
    found = (await send(robot, zipped(hashed_anew(renamed)))).json()
    assert (found["species_added"], found["species_removed"]) == ([new], [old])


def _without(name: str) -> Callable[[Files], bytes]:
    return lambda files: zipped({each: data for each, data in files.items() if each != name})


def _replaced(name: str, old: bytes, new: bytes) -> Callable[[Files], bytes]:
    return lambda files: zipped(hashed_anew({**files, name: files[name].replace(old, new)}))


def _graph(change: Callable[..., None]) -> Callable[[Files], bytes]:
    return lambda files: zipped(with_graph(files, change))


REFUSED: dict[str, tuple[Callable[[Files], bytes], str, str]] = {
    "no zip": (lambda _: b"MZ" * 1000, "the bundle", "is not a zip file"),
    "cut off": (lambda files: zipped(files)[:-300], "the bundle", "is not a zip file, or is cut off"),
    "leads out": (lambda files: with_entry(files, "../../evil.json"), "../../evil.json", "leads out"),
    "absolute": (lambda files: with_entry(files, "/tmp/evil"), "/tmp/evil", "is an absolute path"),
    "link": (lambda files: with_entry(files, "x", b"/etc/passwd", mode=0o120777), "x", "is a link"),
    "twice": (lambda files: with_entry(files, "card.json"), "card.json", "is there twice"),
    "case": (lambda files: with_entry(files, "CARD.JSON"), "CARD.JSON", "by case alone"),
    "stranger": (lambda files: with_entry(files, "weights.pth"), "weights.pth", "does not belong"),
    "bomb": (
        lambda files: zipped({**files, bundle.EVALUATION: b" " * 20_000_000}),
        "evaluation.json",
        "unpacks to more than 200 times its size",
    ),
    "no card": (_without(bundle.CARD), "card.json", "is missing"),
    "no sums": (_without(bundle.SUMS), "SHA256SUMS", "is missing"),
    "wrong hash": (
        lambda files: zipped({**files, bundle.MODEL: files[bundle.MODEL] + b"\0"}),
        "model.onnx",
        "its SHA-256 is not the one in SHA256SUMS",
    ),
    "card schema": (_replaced(bundle.CARD, b'"title"', b'"titel"'), "card.json", "title: Field required"),
    "a path as a name": (_replaced(bundle.CARD, b'"tiny-moths"', b'"../../etc"'), "card.json", "name"),
    "external data": (_graph(hostile.external_data_in_a_branch), "model.onnx", "another file"),
    "custom domain": (_graph(hostile.custom_domain), "model.onnx", "operator domain 'com.example'"),
    "other answers": (_graph(hostile.other_weights), "golden.npz", "golden image 0: a logit is off"),
    "golden pickle": (
        lambda files: zipped(hashed_anew({**files, bundle.GOLDEN: b"\x80\x04."})),
        "golden.npz",
        "cannot be unpacked",
    ),
    "much memory": (_graph(hostile.asks_for_much_memory), "model.onnx", "memory"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("settings", [{"check_memory_bytes": 500_000_000}], indirect=True)
async def test_what_is_wrong_with_a_bundle_is_said_with_its_place(
    robot: httpx.AsyncClient, settings: Settings, files: Files, case: str
) -> None:
    make, where, message = REFUSED[case]
    answer = await send(robot, make(files))
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bundle-refused"), answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == where
    assert message in error["message"]
    assert "Nothing was added" in answer.json()["detail"]
    assert str(settings.store) not in answer.text
    assert folders(settings) == BEFORE
    assert isinstance(settings.store, Path)
    assert list((settings.store / ".incoming").iterdir()) == []
    assert (await robot.get("/models/tiny-moths")).json()["versions"] == ["1.0.0", "1.1.0"]


@pytest.mark.parametrize("settings", [{"check_timeout_s": 8.0}], indirect=True)
async def test_a_network_that_never_ends_is_ended(
    robot: httpx.AsyncClient, settings: Settings, files: Files
) -> None:
    answer = await send(robot, zipped(with_graph(files, hostile.never_ends)))
    assert answer.status_code == 422
    assert "checking it took longer than 8 s" in answer.json()["detail"]
    assert folders(settings) == BEFORE


@pytest.mark.parametrize("settings", [{"max_bundle_bytes": 20_000}], indirect=True)
async def test_a_bundle_over_the_limit_is_refused_while_it_comes_in(
    robot: httpx.AsyncClient, settings: Settings, files: Files
) -> None:
    answer = await send(robot, zipped(files, method=0))
    assert answer.status_code == 413
    assert "20,000 bytes" in answer.json()["detail"]

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 10_000

    answer = await robot.post(WHERE, content=endless(), headers={"Content-Type": "application/zip"})
    assert answer.status_code == 413
    assert folders(settings) == BEFORE


async def test_an_upload_is_read_in_either_form_and_nothing_else(
    robot: httpx.AsyncClient, files: Files
) -> None:
    async def multipart(field: str, data: bytes) -> httpx.Response:
        return await robot.post(WHERE, files={field: ("b.zip", data, "application/zip")}, timeout=120)

    assert (await multipart("photo", b"x")).status_code == 422
    assert (await multipart("bundle", b"")).json()["errors"][0]["field"] == "bundle"
    assert (await robot.post(WHERE, content=b"{}", headers={"Content-Type": "text/x"})).status_code == 400
    assert (await robot.post(WHERE)).status_code == 400
    assert (await multipart("bundle", zipped(files))).status_code == 201


async def test_the_name_in_the_address_must_be_the_cards(robot: httpx.AsyncClient, files: Files) -> None:
    answer = await send(robot, zipped(files), "/models/other-moths/versions")
    assert answer.status_code == 422
    assert "the card of this bundle says 'tiny-moths'" in answer.json()["detail"]
    assert (await send(robot, zipped(files), "/models/..%2f..%2fetc/versions")).status_code in (404, 422)


async def _trust(app: FastAPI, name: str) -> bytes:
    """A new trusted key; its private half."""
    private, public = signatures.new_key()
    async with app.state.sessions() as session:
        await keys.trust(session, public, name, "test")
        await session.commit()
    return private


def _signed(files: Files, folder: Path, private: bytes) -> Files:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    signatures.sign(folder, private)
    return files_of(folder)


@pytest.mark.parametrize("settings", [{"require_signature": True}], indirect=True)
async def test_where_signatures_are_required_only_a_trusted_one_lets_a_bundle_in(
    app: FastAPI, robot: httpx.AsyncClient, settings: Settings, files: Files, tmp_path: Path
) -> None:
    async def refusal(data: bytes) -> str:
        answer = await send(robot, data)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "SIGNATURE")
        return str(answer.json()["detail"])

    assert "is missing; only signed bundles" in await refusal(zipped(files))
    stranger, _ = signatures.new_key()
    assert "is not trusted here" in await refusal(zipped(_signed(files, tmp_path / "a", stranger)))
    private = await _trust(app, "lab")
    good = _signed(files, tmp_path / "b", private)
    moved = hashed_anew({**good, bundle.README: b"# Changed after it was signed\n"})
    assert "is not the one of SHA256SUMS" in await refusal(
        zipped({**moved, bundle.SIGNATURE: good[bundle.SIGNATURE]})
    )
    assert "in hexadecimal" in await refusal(zipped({**good, bundle.SIGNATURE: b"trust me"}))
    assert folders(settings) == BEFORE
    answer = await send(robot, zipped(good))
    assert (answer.status_code, answer.json()["signed_by"]) == (201, "lab")


async def test_a_false_signature_of_a_trusted_key_is_refused_even_where_none_is_required(
    app: FastAPI, robot: httpx.AsyncClient, files: Files, tmp_path: Path
) -> None:
    good = _signed(files, tmp_path / "signed", await _trust(app, "lab"))
    named = good[bundle.SIGNATURE].split()[0]
    forged = zipped({**good, bundle.SIGNATURE: named + b" " + b"0" * 128})
    assert (await send(robot, forged)).json()["errors"][0]["field"] == "SIGNATURE"
    stranger, _ = signatures.new_key()
    answer = await send(robot, zipped(_signed(files, tmp_path / "strange", stranger)))
    assert answer.status_code == 201
    assert answer.json()["notes"] == ["It is signed with a key that is not trusted here."]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
async def test_of_two_bundles_of_one_version_at_once_one_wins(
    app: FastAPI, robot: httpx.AsyncClient, settings: Settings, files: Files
) -> None:
    other = hashed_anew({**files, bundle.README: b"# The other one\n"})
    answers = await asyncio.gather(*(send(robot, zipped(each)) for each in (files, other, files)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes in ([200, 201, 409], [201, 409, 409])
    added = next(answer.json() for answer in answers if answer.status_code == 201)
    assert isinstance(settings.store, Path)
    assert bundle.read(settings.store / "tiny-moths" / "1.2.0").sha256 == added["sha256"]
    assert folders(settings) == [*BEFORE, "tiny-moths/1.2.0"]


async def test_a_store_that_cannot_be_written_says_so(
    robot: httpx.AsyncClient, settings: Settings, files: Files
) -> None:
    assert isinstance(settings.store, Path)
    (settings.store / ".incoming").rmdir() if (settings.store / ".incoming").exists() else None
    (settings.store / ".incoming").write_text("in the way")
    answer = await send(robot, zipped(files))
    assert answer.status_code == 500
    assert str(settings.store) not in answer.text


async def test_the_form_of_the_page_needs_its_token_before_the_file(
    app: FastAPI, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, files: Files, settings: Settings
) -> None:
    page = await admin.get("/admin/models/add", headers={"Accept": "text/html"})
    token = page.text.split('name="form_token" value="')[-1].split('"')[0]
    upload = {"bundle": ("b.zip", zipped(files), "application/zip")}

    async def post(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
        headers = {"Accept": "text/html"}
        return await client.post("/admin/models/add", data=fields, files=upload, headers=headers, timeout=120)

    assert (await post(admin)).status_code == 403
    assert (await post(admin, form_token="x")).status_code == 403
    assert (await post(viewer, form_token=token)).status_code == 403
    assert folders(settings) == BEFORE
    answer = await post(admin, form_token=token)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/admin/models/add?model=tiny-moths&version=1.2.0",
    )
    shown = (await admin.get(answer.headers["location"])).text
    assert "tiny-moths 1.2.0 was added" in shown
    assert "Every species that 1.0.0 has" in shown
    async with connect(app) as anonymous:
        assert (await anonymous.get("/admin/models/add")).status_code == 401
