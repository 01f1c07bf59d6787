from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from pydantic import TypeAdapter
from sqlalchemy import text

from app.db.tables import ModelRow
from app.errors import KINDS, PROBLEMS, AppError, Busy
from app.web.dependencies import Session, after_commit
from app.web.field_faults import PATTERN_WORDS
from tests.house.access import api_routes
from tests.web.conftest import connect

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FIELDS = {"type", "title", "status", "detail", "instance", "request_id"}
acted: list[str] = []


async def broken() -> None:
    raise ZeroDivisionError("/home/secret/path.py did this")


async def busy() -> None:
    raise Busy("Too much at once.", retry_after_s=7)


async def save(session: Session) -> dict[str, bool]:
    session.add(ModelRow(name="saved"))

    async def act() -> None:
        acted.append("after the commit")

    after_commit(session, act)
    return {"saved": True}


async def save_what_cannot_be_committed(session: Session) -> dict[str, bool]:
    answer = await save(session)
    if session.get_bind().dialect.name == "sqlite":
        await session.execute(text("PRAGMA defer_foreign_keys=ON"))
        await session.execute(text("BEGIN IMMEDIATE"))
        await session.execute(text("PRAGMA defer_foreign_keys=ON"))
    else:
        await session.execute(
            text("ALTER TABLE alias ALTER CONSTRAINT fk_alias_model DEFERRABLE INITIALLY DEFERRED")
        )
        await session.execute(
            text("ALTER TABLE alias ALTER CONSTRAINT fk_alias_model_version DEFERRABLE INITIALLY DEFERRED")
        )
    await session.execute(
        text("INSERT INTO alias VALUES ('nobody', 'production', '1.0.0', 1, '2026-01-01 00:00:00')")
    )
    return answer


@pytest.fixture
def client_app(app: FastAPI) -> FastAPI:
    """The application with a few routes that fail."""
    app.add_api_route("/broken", broken)
    app.add_api_route("/busy", busy)
    app.add_api_route("/save", save, methods=["POST"])
    app.add_api_route("/save-not", save_what_cannot_be_committed, methods=["POST"])
    acted.clear()
    return app


@pytest.fixture
async def visitor(client_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(client_app) as client:
        yield client


async def saved_names(app: FastAPI) -> list[str]:
    async with app.state.sessions() as session:
        return [row[0] for row in await session.execute(text("SELECT name FROM model"))]


async def test_an_error_nobody_expected_tells_nothing_but_its_number(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get("/broken", headers={"X-Request-ID": "field-trip-0001"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == FIELDS
    assert problem["request_id"] == answer.headers["x-request-id"] == "field-trip-0001"
    page = await visitor.get("/broken", headers=PAGE)
    assert page.status_code == 500
    for secret in ("ZeroDivision", "secret", "path.py", "Traceback"):
        assert secret not in answer.text + page.text


async def test_a_commit_that_fails_was_never_answered_as_done(
    visitor: httpx.AsyncClient, client_app: FastAPI
) -> None:
    before = await saved_names(client_app)
    answer = await visitor.post("/save-not")
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal-error"
    assert await saved_names(client_app) == before
    assert acted == []


async def test_what_was_answered_is_committed_and_acted_upon_before(
    visitor: httpx.AsyncClient, client_app: FastAPI
) -> None:
    answer = await visitor.post("/save")
    assert answer.status_code == 200
    assert "saved" in await saved_names(client_app)
    assert acted == ["after the commit"]


async def test_busy_says_when_to_come_back(visitor: httpx.AsyncClient) -> None:
    for headers in ({}, PAGE):
        answer = await visitor.get("/busy", headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize("slug", sorted(PROBLEMS))
async def test_every_kind_of_problem_has_a_page_that_explains_it(
    client: httpx.AsyncClient, slug: str
) -> None:
    page = await client.get(f"/problems/{slug}", headers=PAGE)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    document = (await client.get(f"/problems/{slug}")).json()
    assert document["type"] == f"/problems/{slug}"
    assert document["explanation"]


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len(PROBLEMS) == len(KINDS)
    below = {AppError}
    while missing := {kind for known in below for kind in known.__subclasses__()} - below:
        below |= missing
    assert below - {AppError} == set(KINDS)


async def test_the_same_problem_is_a_page_for_a_browser(client: httpx.AsyncClient) -> None:
    document, page = await client.get("/nowhere"), await client.get("/nowhere", headers=PAGE)
    assert document.status_code == page.status_code == 404
    assert document.json()["detail"] in page.text
    assert 'href="/problems/not-found"' in page.text
    assert page.headers["x-request-id"] in page.text
    assert document.headers["vary"] == page.headers["vary"] == "Accept"


async def test_a_wrong_method_is_told_the_right_one(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/models")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert answer.json()["type"] == "/problems/method-not-allowed"


async def test_the_document_of_the_api_says_what_a_refusal_is(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    problem = (await client.get("/nowhere")).json()
    operations = [each for path in document["paths"].values() for each in path.values()]
    for operation in operations:
        schema = operation["responses"]["default"]["content"]["application/problem+json"]["schema"]
        assert set(problem) == set(schema["required"])
    assert "HTTPValidationError" not in str(document)


async def test_a_value_of_the_wrong_form_is_refused_in_words(
    client: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    key = await client.post("/predict", headers={"Idempotency-Key": "my key 1"})
    expected = "expected 1 to 200 printable ASCII characters and no space, such as a UUID"
    assert key.json()["errors"] == [{"field": "Idempotency-Key", "message": expected}]
    done = await admin.get("/admin/checklists?done=perhaps")
    assert done.json()["detail"] == "done: expected added or ended"


def test_every_pattern_that_a_route_declares_is_said_in_words(app: FastAPI) -> None:
    declared: set[str] = set()
    for route in api_routes(app.routes):
        declared |= {pattern for schema in schemas(route.dependant) for pattern in patterns(schema)}
    assert declared == set(PATTERN_WORDS)


def schemas(dependant: Dependant) -> Iterator[object]:
    """What a route takes, but for its path: of an impossible address nothing is said."""
    for param in (*dependant.query_params, *dependant.header_params, *dependant.body_params):
        whole: Any = Annotated[param.field_info.annotation, param.field_info]
        yield TypeAdapter(whole).json_schema()
    for below in dependant.dependencies:
        yield from schemas(below)


def patterns(schema: object) -> Iterator[str]:
    """What a JSON schema matches texts with, wherever it stands."""
    if isinstance(schema, dict):
        if isinstance(pattern := schema.get("pattern"), str):
            yield pattern
        for each in schema.values():
            yield from patterns(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from patterns(each)


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b"[" * 5000])
async def test_a_body_that_is_no_json_is_refused(robot: httpx.AsyncClient, body: bytes) -> None:
    answer = await robot.post(
        "/models/tiny-moths/promote", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert set(answer.json()) >= FIELDS
