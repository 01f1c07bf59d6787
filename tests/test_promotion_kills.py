"""A replica dies at every step of a promotion: after its next start the old version answers, or the new one, whole."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from tests.promoting import LENIENT, MODEL, VERSIONS, Proof, admin_key, answering, promote, wait_until
from tests.serving import Server


@pytest.fixture
def proof(shared_store: Path) -> Proof:
    """One photo."""
    return Proof.of(shared_store, num_photos=1)


@pytest.fixture
def new_dying(new_server: Callable[..., Server], tmp_path: Path) -> Callable[..., Server]:
    """Makes replicas that die at each step in turn while ``steps_of`` lets them."""

    def make(**changed: str) -> Server:
        server = new_server(**LENIENT, **changed)
        server.program = "tests.dying"
        server.extra["DYING_AT"] = str(tmp_path / "survived")
        return server

    return make


def deaths(server: Server, act: Callable[[], None]) -> Iterator[str]:
    """Let ``act`` run into the death of the server at its first step, its second, ... until it survives."""
    survived = Path(server.extra["DYING_AT"])
    resting = survived.with_suffix(".resting")
    resting.write_text("")
    while True:
        resting.rename(survived)
        act()
        dead = server.process.poll() is not None
        survived.rename(resting)
        if not dead:
            return
        server.wait()
        yield resting.read_text().splitlines()[-1]


def deployed(database_url: str) -> tuple[str, int]:
    """What the database says, which must be what the last line of the history says."""
    engine = create_engine(database_url.replace("sqlite+aiosqlite:", "sqlite:", 1))
    with engine.connect() as connection:
        alias = connection.execute(
            text("SELECT version, epoch FROM alias WHERE model = :model"), {"model": MODEL}
        )
        last = connection.execute(
            text("SELECT to_version, epoch FROM promotion WHERE model = :model ORDER BY epoch DESC"),
            {"model": MODEL},
        )
        version, epoch = alias.one()
        rows = last.all()
    engine.dispose()
    assert tuple(rows[0]) == (version, epoch)
    assert [row.epoch for row in rows] == list(range(epoch, 0, -1))
    return version, epoch


def answers_whole(server: Server, proof: Proof) -> tuple[str, int]:
    """What it answers with: the same at ``/readyz``, in an answer's name and in its content."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        model = proof.ask(client, 0)["model"]
    assert (model["version"], model["epoch"]) == answering(server)
    return model["version"], model["epoch"]


PROMOTION = "update alias, insert promotion"


def test_who_promotes_may_die_at_any_step(
    new_dying: Callable[..., Server], database_url: str, proof: Proof
) -> None:
    server = new_dying(FOLLOW_S="60").start()  # it has only these promotions to do
    key = admin_key(server)
    before = deployed(database_url)

    def act() -> None:
        version, epoch = deployed(database_url)
        with contextlib.suppress(httpx.TransportError):
            answer = promote(
                server, key, VERSIONS[1 - VERSIONS.index(version)], epoch, "Through thick and thin."
            )
            assert answer.status_code == 200, answer.text
            return
        server.process.wait(60)

    went_through = {}
    for step in deaths(server, act):
        now = deployed(database_url)
        went_through[step] = now[1] - before[1]
        server.start()
        assert answers_whole(server, proof) == now
        before = now
    assert answers_whole(server, proof) == deployed(database_url)
    steps = list(went_through)
    committed = steps.index(f"after commit of {PROMOTION}")
    assert [went_through[step] for step in steps] == [0] * committed + [1] * (len(steps) - committed)
    for name in ("load", "update alias", "insert promotion", f"commit of {PROMOTION}", "swap"):
        assert {f"before {name}", f"after {name}"} <= set(steps)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_follows_may_die_at_any_step(
    new_server: Callable[..., Server], new_dying: Callable[..., Server], database_url: str, proof: Proof
) -> None:
    steady, server = new_server(**LENIENT).start(), new_dying().start()
    key = admin_key(steady)

    def act() -> None:
        version, epoch = deployed(database_url)
        other = VERSIONS[1 - VERSIONS.index(version)]
        assert promote(steady, key, other, epoch, "Follow me.").status_code == 200
        with contextlib.suppress(httpx.TransportError):
            wait_until(lambda: server.process.poll() is not None or answering(server) == (other, epoch + 1))
            return
        server.process.wait(60)

    steps = []
    for step in deaths(server, act):
        steps.append(step)
        server.start()
        assert answers_whole(server, proof) == answers_whole(steady, proof) == deployed(database_url)
    for name in ("load", "swap"):
        assert {f"before {name}", f"after {name}"} <= set(steps)
