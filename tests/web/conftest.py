"""Clients that are logged in, or have a key."""

import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.db.session import Sessions
from app.db.tables import Role
from app.services import accounts
from app.settings import Settings
from tests.conftest import ORIGIN

PASSWORD = "a sentence about moths"


def connect(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"Origin": ORIGIN, **headers})


async def log_in(client: httpx.AsyncClient, app: FastAPI, name: str, role: Role) -> None:
    """Make an account and give the client the cookie of its login."""
    sessions: Sessions = app.state.sessions
    async with sessions() as session:
        user = await accounts.create_user(session, app.state.passwords, name, PASSWORD, role)
        client.cookies.set("lighttrap", await accounts.start_login(session, user, timedelta(hours=1)))
        await session.commit()


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which the admin ana is logged in."""
    async with connect(app) as client:
        await log_in(client, app, "ana", Role.ADMIN)
        yield client


@pytest.fixture
async def viewer(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which the viewer ben is logged in."""
    async with connect(app) as client:
        await log_in(client, app, "ben", Role.VIEWER)
        yield client


async def new_key(app: FastAPI, *scopes: str) -> str:
    async with app.state.sessions() as session:
        _, secret = await accounts.create_key(session, "robot", list(scopes), None)
        await session.commit()
    return secret


@pytest.fixture
async def robot(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A program with a key of the scope ``admin``."""
    async with connect(app, Authorization=f"Bearer {await new_key(app, 'admin')}") as client:
        yield client


async def ask(client: httpx.AsyncClient, *photos: bytes, **fields: str) -> dict[str, Any]:
    """The answer to these photos of one animal."""
    files = [("image", ("moth.jpg", data, "image/jpeg")) for data in photos]
    answer = await client.post("/predict", files=files, data=fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def sqlite_unless_asked(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty SQLite database, or PostgreSQL where the test's parameter says so."""
    if getattr(request, "param", None) == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite+aiosqlite:///{tmp_path / 'adding.db'}"


def with_own_store(
    request: pytest.FixtureRequest, settings: Settings, store: Path, tmp_path: Path
) -> Settings:
    """Settings with a copy of the store that a test may change, and what its parameter sets."""
    own = Path(shutil.copytree(store, tmp_path / "store"))
    return settings.model_copy(update={"store": own, **getattr(request, "param", {})})


def folders(settings: Settings) -> list[str]:
    """What the store holds, half or whole, hidden or not."""
    assert isinstance(settings.store, Path)
    return sorted(path.relative_to(settings.store).as_posix() for path in settings.store.glob("*/*"))
