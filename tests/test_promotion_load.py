"""Promotions and rollbacks on two replicas that answer all the time: nobody notices but by the version's name."""

import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.promoting import (
    LENIENT,
    MODEL,
    VERSIONS,
    Proof,
    admin_key,
    answering,
    history,
    promote,
    roll_back,
    wait_until,
)
from tests.serving import Server

NUM_PROMOTIONS = int(os.environ.get("PROMOTIONS", "100"))
NUM_RACES = int(os.environ.get("RACES", "50"))
PAUSE_S = 0.01
AGREEMENT_S = 5.0
"""A bound of the contract, not a figure to beat: half a second is usual."""


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """Several replicas share a PostgreSQL."""
    return postgres_url


@pytest.fixture
def replicas(new_server: Callable[..., Server]) -> list[Server]:
    """Two, answering."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(Server.start, [new_server(**LENIENT), new_server(**LENIENT)]))


class Load:
    """Clients that ask one replica after the other for answers until told to stop, each on one connection."""

    def __init__(self, replicas: list[Server], proof: Proof, clients_each: int = 2) -> None:
        self._proof = proof
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor()
        self._clients = [
            self._pool.submit(self._ask, replica, number)
            for replica in replicas
            for number in range(clients_each)
        ]

    def _ask(self, replica: Server, number: int) -> list[tuple[int, str]]:
        seen: list[tuple[int, str]] = []
        with httpx.Client(base_url=replica.url, timeout=60) as client:
            for turn in count(number):
                if self._ended.is_set():
                    return seen
                model = self._proof.ask(client, turn % len(self._proof.photos))["model"]
                seen.append((model["epoch"], model["version"]))
                self._ended.wait(PAUSE_S)
        raise AssertionError("never comes here")

    def check(self) -> None:
        """Raises what a client that ended early raised."""
        for client in self._clients:
            if client.done():
                client.result()

    def stop(self) -> list[list[tuple[int, str]]]:
        """(epoch, version) of every answer, in order, for each client."""
        self._ended.set()
        return [client.result() for client in self._clients]


def test_promotions_and_rollbacks_under_load_cost_no_answer_and_mix_no_versions(
    replicas: list[Server], shared_store: Path
) -> None:
    key = admin_key(replicas[0])
    load = Load(replicas, Proof.of(shared_store))
    seconds = []
    try:
        for epoch in range(1, NUM_PROMOTIONS + 1):
            replica = replicas[(epoch // 2) % 2]
            going_back = epoch % 2 == 0
            act = roll_back if going_back else lambda *given: promote(given[0], given[1], "1.1.0", *given[2:])
            moved = act(replica, key, epoch, f"Number {epoch}.")
            assert moved.status_code == 200, moved.text
            expected = (VERSIONS[epoch % 2], epoch + 1)
            seconds.append(wait_until(lambda now=expected: all(answering(each) == now for each in replicas)))  # type: ignore[misc]
            load.check()
    finally:
        seen = load.stop()
    deployed = {row["epoch"]: row["to_version"] for row in history(replicas[0], key)}
    assert sorted(deployed) == list(range(1, NUM_PROMOTIONS + 2))
    for answers in seen:
        assert all(deployed[epoch] == version for epoch, version in answers)
        assert answers == sorted(answers), "an epoch went back"
    num_answers = sum(map(len, seen))
    print(f"{num_answers} answers; replicas agreed after {max(seconds):.2f} s at most")  # noqa: T201
    assert num_answers > NUM_PROMOTIONS
    assert max(seconds) <= AGREEMENT_S


def test_of_two_admins_who_promote_at_once_one_wins_and_the_other_learns_of_it(
    replicas: list[Server],
) -> None:
    key = admin_key(replicas[0])
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 (shown when the test fails)
    rng = random.Random(seed)
    barrier = threading.Barrier(2)

    def race(replica: Server, epoch: int, pause_s: float) -> httpx.Response:
        barrier.wait()
        threading.Event().wait(pause_s)
        return promote(replica, key, VERSIONS[epoch % 2], epoch, f"From {replica.url}.")

    winners = []
    with ThreadPoolExecutor() as pool:
        for epoch in range(1, NUM_RACES + 1):
            pauses = [rng.choice([0.0, 0.0, 0.005, 0.02]) for _ in replicas]
            answers = list(pool.map(race, replicas, [epoch] * 2, pauses))
            won, lost = sorted(answers, key=lambda answer: answer.status_code)
            assert (won.status_code, lost.status_code) == (200, 409), [each.text for each in answers]
            assert won.json()["epoch"] == epoch + 1
            assert lost.json()["type"] == "/problems/stale-epoch"
            assert won.json()["reason"] in lost.json()["detail"]
            winners.append(won.json()["reason"])
    rows = history(replicas[0], key)
    assert [row["epoch"] for row in rows] == list(range(1, NUM_RACES + 2))
    assert [row["reason"] for row in rows[1:]] == winners
    assert {row["model"] for row in rows} == {MODEL}
