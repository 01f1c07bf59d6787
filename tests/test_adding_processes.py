"""Adding is killed at every step, and by two processes at once: the store holds a version whole or not at all."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from app.db.session import create_sync_engine
from models import bundle
from tests.hostile_bundles import files_of, hashed_anew, zipped
from tests.serving import Server
from tests.tiny_bundle import write_tiny_bundle

KILLED = """
import functools, importlib, os, signal, sys
module, owner, name, when = sys.argv.pop(1).split(":")
place = importlib.import_module(module)
place = getattr(place, owner) if owner else place
real = getattr(place, name)
count = int(when[1:] or 1)

def die():
    global count
    count -= 1
    if count == 0:
        os.kill(os.getpid(), signal.SIGKILL)

if name in ("check_bundle", "commit"):
    async def changed(*given, **named):
        if when[0] == "<": die()
        found = await real(*given, **named)
        if when[0] == ">": die()
        return found
else:
    def changed(*given, **named):
        if when[0] == "<": die()
        found = real(*given, **named)
        if when[0] == ">": die()
        return found
setattr(place, name, changed)
from app.cli import main
sys.argv[0] = "app"
main()
"""
STEPS = [
    "app.services.adding.candidate::check_bundle:<",
    "app.services.adding.candidate::check_bundle:>",
    "app.store.folder:FolderStore:put:<",
    "app.store.folder:FolderStore:put:>",
    "sqlalchemy.ext.asyncio:AsyncSession:commit:<",
    "sqlalchemy.ext.asyncio:AsyncSession:commit:>",
]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    write_tiny_bundle(folder, "tiny-moths", "1.0.0")
    return folder


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "made", "tiny-moths", "1.2.0", seed=5)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_kill_at_any_step_leaves_a_version_whole_or_nothing(
    new_server: Callable[..., Server], store: Path, made: Path, step: str
) -> None:
    server = new_server(STORE=str(store))
    assert server.run("model", "list").returncode == 0
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, step, "model", "add", str(made)],
        env=server.environment,
        cwd=server.log.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    server.start()  # cleans up, and registers what lies whole in the store
    assert list((store / ".incoming").iterdir()) == []
    versions = httpx.get(f"{server.url}/models/tiny-moths").json()["versions"]
    in_store = (store / "tiny-moths" / "1.2.0").exists()
    assert versions == (["1.0.0", "1.2.0"] if in_store else ["1.0.0"])
    assert in_store == (step.split(":")[2] in ("put", "commit") and not step.endswith("put:<"))
    again = server.run("model", "add", str(made), "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["new"] is not in_store
    assert bundle.read(store / "tiny-moths" / "1.2.0").sha256 == bundle.read(made).sha256


def test_two_replicas_that_add_one_version_at_once_agree_on_one(
    postgres_url: str, new_server: Callable[..., Server], store: Path, made: Path
) -> None:
    common = {"DATABASE_URL": postgres_url, "STORE": str(store)}
    servers = [new_server(**common).start() for _ in range(2)]
    key = servers[0].run("key", "create", "robot", "--scope", "admin").stdout.strip()
    other = hashed_anew({**files_of(made), bundle.README: b"# The other one\n"})
    bodies = [zipped(files_of(made)), zipped(other)]
    sending = [
        subprocess.Popen(
            [sys.executable, "-c", SEND, f"{server.url}/models/tiny-moths/versions", key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for server in servers
    ]
    for process, body in zip(sending, bodies, strict=True):
        assert process.stdin is not None
        process.stdin.write(body)
        process.stdin.close()
    codes = []
    for process in sending:
        assert process.stdout is not None
        codes.append(int(process.stdout.read()))
        process.stdout.close()
        process.wait()
    assert sorted(codes) == [201, 409]
    engine = create_sync_engine(postgres_url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT sha256, actor FROM addition WHERE version = '1.2.0'")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [(bundle.read(store / "tiny-moths" / "1.2.0").sha256, "key robot")]


SEND = """
import sys, httpx
headers = {"Authorization": f"Bearer {sys.argv[2]}", "Content-Type": "application/zip"}
print(httpx.post(sys.argv[1], content=sys.stdin.buffer.read(), headers=headers, timeout=120).status_code)
"""


def test_keys_are_made_and_trusted_on_the_command_line(
    new_server: Callable[..., Server], store: Path, made: Path, tmp_path: Path
) -> None:
    server = new_server(STORE=str(store), REQUIRE_SIGNATURE="true")
    private, public = tmp_path / "lab.pem", tmp_path / "lab.pub.pem"
    assert server.run("key", "generate", str(private)).returncode == 0
    assert private.stat().st_mode & 0o077 == 0
    refused = server.run("key", "generate", str(private))
    assert refused.returncode == 1
    assert "no key is overwritten" in refused.stderr
    unsigned = server.run("model", "add", str(made))
    assert (unsigned.returncode, unsigned.stdout) == (1, "")
    assert "error: SIGNATURE: is missing" in unsigned.stderr
    assert server.run("key", "trust", str(private), "--name", "lab").returncode == 1
    trusted = server.run("key", "trust", str(public), "--name", "lab")
    assert trusted.returncode == 0, trusted.stderr
    signed = server.run("key", "sign", str(private), str(made))
    assert signed.returncode == 0, signed.stderr
    (entry,) = json.loads(server.run("key", "trusted", "--json").stdout)
    assert entry["name"] == "lab"
    added = server.run("model", "add", str(made), "--json")
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["signed_by"] == "lab"
    assert server.run("key", "distrust", entry["fingerprint"][:8]).returncode == 0
    assert json.loads(server.run("key", "trusted", "--json").stdout) == []
