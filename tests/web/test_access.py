"""Every route as every caller: nobody reaches what is above their role, and the table in the documents says so."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.db.tables import Role
from app.settings import Settings
from tests.house.access import CALLERS, allowed, api_routes
from tests.web.conftest import connect, log_in, new_key

DENIED = {"/problems/login-required", "/problems/forbidden"}
PLACES = {
    "name": "tiny-moths",
    "version": "1.1.0",
    "identification_id": "00000000-0000-4000-8000-000000000000",
    "position": "0",
    "slug": "conflict",
    "folder": "app",
    "digest": "0",
    "file": "app.css",
}
READ_BY_EVERYBODY = {
    "/",
    "/docs",
    "/invitation",
    "/livez",
    "/login",
    "/metrics",
    "/openapi.json",
    "/problems/{slug}",
    "/readyz",
    "/setup",
    "/static/{folder}/{digest}/{file:path}",
}
"""What a closed installation shows all the same: docs/settings.md promises no more than this is open."""


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Who may do what is no question of the database: SQLite alone."""
    return f"sqlite+aiosqlite:///{tmp_path / 'access.db'}"


@pytest.fixture(params=[True, False], ids=["open", "closed"])
def settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """With and without a login for identifying."""
    return settings.model_copy(update={"public_identify": request.param})


@pytest.fixture
async def callers(app: FastAPI) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """A client of each kind."""
    async with AsyncExitStack() as stack:
        clients = {"anonymous": await stack.enter_async_context(connect(app))}
        for role in Role:
            clients[role.value] = await stack.enter_async_context(connect(app))
            await log_in(clients[role.value], app, f"the-{role.value}", role)
        for scope in ("predict", "admin"):
            bearer = f"Bearer {await new_key(app, scope)}"
            clients[f"key {scope}"] = await stack.enter_async_context(connect(app, Authorization=bearer))
        yield clients


def address(route: APIRoute) -> str:
    return re.sub(r"\{(\w+)(?::path)?\}", lambda match: PLACES.get(match[1], "x"), route.path)


async def is_denied(client: httpx.AsyncClient, method: str, path: str) -> bool:
    answer = await client.request(method, path, headers={"Accept": "application/json"})
    assert answer.status_code < 500, f"{method} {path}: {answer.text}"
    if answer.headers.get("content-type") != "application/problem+json":
        return False
    return answer.json()["type"] in DENIED


async def test_no_route_is_reached_above_ones_role(
    app: FastAPI, settings: Settings, callers: dict[str, httpx.AsyncClient]
) -> None:
    wrong = []
    for route in api_routes(app.routes):
        expected = allowed(route, public_identify=settings.public_identify)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            if (method, route.path) == ("POST", "/logout"):
                continue  # would end the login that the next route is tried with; it is open to everybody
            for caller in CALLERS:
                denied = await is_denied(callers[caller], method, address(route))
                if denied is (caller in expected):
                    wrong.append(f"{method} {route.path} as {caller}: {'denied' if denied else 'reached'}")
    assert wrong == []


def test_where_identifying_is_closed_nothing_is_read_without_an_account_or_a_key(app: FastAPI) -> None:
    open_to_all = {
        route.path
        for route in api_routes(app.routes)
        if "GET" in (route.methods or set()) and "anonymous" in allowed(route, public_identify=False)
    }
    assert open_to_all == READ_BY_EVERYBODY


def test_there_is_a_route_for_each_kind_of_caller(app: FastAPI) -> None:
    found = {allowed(route, public_identify=False) for route in api_routes(app.routes)}
    assert {frozenset(CALLERS), frozenset({"admin"}), frozenset({"admin", "key admin"})} <= found
