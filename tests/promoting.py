"""What tests of promotions share: replicas to promote on, what they answer with, and proof of who answered.

Two tiny bundles score every photo differently, so that an answer's scores prove which version made it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from app.db.session import create_engine, create_sessions
from app.inference.session import OnnxSession
from app.services import accounts
from models import bundle
from models.preprocess import preprocess
from tests import drawn_photos
from tests.serving import Server

MODEL = "tiny-moths"
VERSIONS = ("1.0.0", "1.1.0")
LENIENT = {"MAX_RECALL_FALL": "1", "MAX_ECE_GROWTH": "1", "PREDICT_RATE": "1000000/minute"}
"""Settings with which the gate lets either version replace the other."""


def wait_until(condition: Callable[[], bool]) -> float:
    """Seconds until it came about."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < 30, "it did not come about in 30 s"
        time.sleep(0.02)
    return time.monotonic() - started


def answering(server: Server) -> tuple[str, int]:
    """Version and epoch of tiny-moths that this replica itself answers with."""
    for model in httpx.get(f"{server.url}/readyz", timeout=60).json()["models"]:
        if model["name"] == MODEL:
            return model["version"], model["epoch"]
    raise AssertionError(f"{MODEL} is not deployed")


def admin_key(server: Server) -> dict[str, str]:
    """Headers of a program that may promote. Made here: the command line would import the service once more."""
    return {"Authorization": f"Bearer {asyncio.run(_new_key(server.settings['DATABASE_URL']))}"}


async def _new_key(database_url: str) -> str:
    engine = create_engine(database_url)
    async with create_sessions(engine)() as session:
        _, secret = await accounts.create_key(session, "test", ["admin"], None)
        await session.commit()
    await engine.dispose()
    return secret


def promote(server: Server, key: Mapping[str, str], version: str, epoch: int, reason: str) -> httpx.Response:
    """Ask this replica to deploy a version."""
    body = {"version": version, "expected_epoch": epoch, "reason": reason}
    return httpx.post(f"{server.url}/models/{MODEL}/promote", json=body, headers=key, timeout=60)


def roll_back(server: Server, key: Mapping[str, str], epoch: int, reason: str) -> httpx.Response:
    """Ask this replica to take the last promotion back."""
    body = {"expected_epoch": epoch, "reason": reason}
    return httpx.post(f"{server.url}/models/{MODEL}/rollback", json=body, headers=key, timeout=60)


def history(server: Server, key: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every promotion, the first one first."""
    answer = httpx.get(f"{server.url}/models/{MODEL}/history", headers=key, timeout=60)
    return list(reversed(answer.json()["history"]))


@dataclass(frozen=True)
class Proof:
    """Photos, and the scores that each version gives them, computed without a service."""

    photos: tuple[bytes, ...]
    scores: Mapping[tuple[str, int], Mapping[str, float]]

    @classmethod
    def of(cls, store: Path, num_photos: int = 7) -> "Proof":
        photos = tuple(drawn_photos.photo(kind=number % 7, seed=900 + number) for number in range(num_photos))
        scores: dict[tuple[str, int], dict[str, float]] = {}
        for version in VERSIONS:
            found = bundle.read(store / MODEL / version)
            wanted = found.card.preprocessing
            session = OnnxSession(found.onnx, size_px=wanted.size_px, provider="cpu")
            for number, photo in enumerate(photos):
                logits = session.run(preprocess(photo, wanted)[0][None]).logits[0]
                labels = [taxon.label for taxon in found.card.taxa]
                scores[version, number] = dict(zip(labels, map(float, logits), strict=True))
        return cls(photos, scores)

    def ask(self, client: httpx.Client, number: int) -> dict[str, Any]:
        """The answer about one photo. Its scores must be those of the version that it names."""
        answer = client.post(
            "/predict",
            params={"top_k": 7, "model": MODEL},
            content=self.photos[number],
            headers={"Content-Type": "image/jpeg"},
        )
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        given = {each["taxon"]["label"]: each["score"] for each in document["predictions"]}
        matching = [version for version in VERSIONS if self._matches(given, version, number)]
        assert matching == [document["model"]["version"]], document
        return document

    def _matches(self, given: Mapping[str, float], version: str, number: int) -> bool:
        expected = self.scores[version, number]
        return all(np.isclose(given[label], score, atol=1e-4) for label, score in expected.items())
