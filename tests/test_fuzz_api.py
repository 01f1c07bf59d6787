"""Every operation of the OpenAPI document with everything that a schema allows, as callers of each role: no 5xx.

A real server on SQLite, whose store and history the admin's calls change on the way. ``FUZZ`` sets the number of
examples of each operation and role.
"""

import asyncio
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import SecretStr
from schemathesis import APIOperation, Case, SerializationContext
from schemathesis.core.result import Ok

from app.db.session import create_engine, create_sessions
from app.db.tables import Role
from app.main import create_app
from app.services import accounts
from app.settings import Settings
from tests.house.access import allowed, api_routes
from tests.serving import Server

NUM_EXAMPLES = int(os.environ.get("FUZZ", "6"))
CALLERS = ("anonymous", *(role.value for role in Role))


@schemathesis.serializer("application/zip")
def as_bytes(_context: SerializationContext, value: Any) -> bytes:
    """A zip that is none, most often: what is in it has tests of its own."""
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture(scope="module")
def fuzzed(shared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service whose limits no fuzzing reaches."""
    folder = tmp_path_factory.mktemp("fuzz")
    server = Server(
        {
            "DATA_DIR": str(folder / "var"),
            "STORE": str(shared_store),
            "DEFAULT_MODEL": "tiny-moths",
            "PROVIDER": "cpu",
            "DECODE_WORKERS": "1",
            "PREDICT_RATE": "1000000/minute",
            "LOGIN_RATE": "1000000/minute",
            "SETUP_RATE": "1000000/minute",
        },
        folder / "server.log",
    ).start()
    yield server
    server.kill()


def cookies_of(server: Server, caller: str) -> dict[str, str]:
    """The cookie of a new account with this role; none for nobody."""
    if caller == "anonymous":
        return {}
    return {"lighttrap": asyncio.run(_log_in(server.settings["DATA_DIR"], Role(caller)))}


async def _log_in(data_dir: str, role: Role) -> str:
    engine = create_engine(f"sqlite+aiosqlite:///{data_dir}/lighttrap.db")
    async with create_sessions(engine)() as session:
        name = f"{role.value}-{os.urandom(4).hex()}"
        user = await accounts.create_user(session, accounts.Passwords(), name, "a sentence about moths", role)
        token = await accounts.start_login(session, user, timedelta(hours=1))
        await session.commit()
    await engine.dispose()
    return token


def guards() -> dict[tuple[str, str], frozenset[str]]:
    """Who may call what, read off the routes."""
    application = create_app(Settings(_env_file=None, database_url=SecretStr("sqlite:///unused.db")))
    return {
        (method, route.path): allowed(route, public_identify=True)
        for route in api_routes(application.routes)
        for method in route.methods or ()
    }


@pytest.mark.parametrize("caller", CALLERS)
def test_no_operation_breaks_and_none_is_reached_above_ones_role(fuzzed: Server, caller: str) -> None:
    schema = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(operations) > 20
    may_call = guards()
    for operation in operations:
        is_allowed = caller in may_call[operation.method.upper(), operation.path]
        fuzz(operation, cookies_of(fuzzed, caller), is_allowed=is_allowed)
    failures = [line for line in fuzzed.log.read_text().splitlines() if "Traceback" in line]
    assert failures == []


def fuzz(operation: APIOperation[Any, Any, Any, Any], cookies: dict[str, str], *, is_allowed: bool) -> None:
    """Call one operation with examples of its own schema."""

    @settings(
        max_examples=NUM_EXAMPLES,
        phases=(Phase.explicit, Phase.generate),
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def call(case: Case[Any]) -> None:
        answer = case.call(cookies=cookies, headers={"Accept": "application/json"}, timeout=60)
        words = f"{operation.method.upper()} {operation.path}: {answer.status_code} {answer.text[:500]}"
        assert answer.status_code < 500, words
        if not is_allowed:
            assert answer.status_code >= 400, words

    call()
