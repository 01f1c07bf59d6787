"""What tests share: a database of each kind, a store of tiny bundles, the application, and a real process."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import hypothesis
import psycopg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app.db.migrate import upgrade
from app.db.session import Sessions, create_engine, create_sessions
from app.main import create_app
from app.services.registry import prepare_registry
from app.settings import Settings
from tests.postgres import INSTALL_IT, cluster, find_postgres
from tests.serving import Server
from tests.tiny_bundle import write_tiny_bundle

ORIGIN = "http://lighttrap.test"

hypothesis.settings.register_profile("untimed", deadline=None, print_blob=True)  # speed is for benchmarks
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Our own cluster, for the whole run."""
    programs = find_postgres()
    if programs is None:
        if os.environ.get("CI"):
            pytest.fail(INSTALL_IT)
        pytest.skip(INSTALL_IT)
    # Not tmp_path: a Unix socket's path may not be longer than about a hundred characters.
    with (
        tempfile.TemporaryDirectory(prefix="ltpg", ignore_cleanup_errors=True) as folder,
        cluster(programs, Path(folder)) as options,
    ):
        yield options


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    name = f"t{uuid4().hex}"
    with psycopg.connect(f"postgresql:///postgres{postgres}", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield f"postgresql+psycopg:///{name}{postgres}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; the test runs once on each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'lighttrap.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def sessions(database_url: str) -> AsyncIterator[Sessions]:
    """Sessions of a migrated, empty database."""
    engine = create_engine(database_url)
    await upgrade(engine)
    yield create_sessions(engine)
    await engine.dispose()


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of one tiny model, and one of another. Read only: tests that change it take ``store``."""
    folder = tmp_path_factory.mktemp("store")
    write_tiny_bundle(folder, "tiny-moths", "1.0.0", seed=0, with_neighbours=True)
    write_tiny_bundle(folder, "tiny-moths", "1.1.0", seed=9)
    write_tiny_bundle(folder, "other-moths", "1.0.0", seed=2)
    return folder


@pytest.fixture
def settings(database_url: str, shared_store: Path, tmp_path: Path) -> Settings:
    """Settings with this test's database and folders."""
    return Settings(
        _env_file=None,
        data_dir=tmp_path / "var",
        database_url=SecretStr(database_url),
        store=shared_store,
        default_model="tiny-moths",
        provider="cpu",
        decode_workers=1,
        follow_s=0.05,
    )


def store_folder(settings: Settings) -> Path:
    """The folder of the store, which is none of a bucket here."""
    assert isinstance(settings.store, Path)
    return settings.store


@pytest.fixture
async def app(settings: Settings, sessions: Sessions) -> AsyncIterator[FastAPI]:
    """The application with everything started, on a registered store."""
    await prepare_registry(sessions, settings.store)
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a login, in the same process. An error of ours is answered, not raised."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"Origin": ORIGIN}) as client:
        yield client


@pytest.fixture
def new_server(database_url: str, shared_store: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers, not started yet, that share database and store: replicas, or one and its next start."""
    servers: list[Server] = []

    def make(**changed: str) -> Server:
        settings = {
            "DATA_DIR": str(tmp_path / "var"),
            "DATABASE_URL": database_url,
            "STORE": str(shared_store),
            "DEFAULT_MODEL": "tiny-moths",
            "PROVIDER": "cpu",
            "DECODE_WORKERS": "1",
            "DRAIN_NOTICE_S": "0.5",
            "FOLLOW_S": "0.2",
        }
        server = Server({**settings, **changed}, tmp_path / f"server-{len(servers)}.log")
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    """The service as a real process, answering."""
    return new_server().start()
