"""Who runs when. On a CPU one run per core, one image a run; on a GPU one run at a time, with whatever waits.

Batching gains nothing on a CPU. On a GPU no timer is needed: while one batch runs, the next one gathers.
"""

import asyncio
from collections import deque
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.inference.session import Outputs

MAX_BATCH = 64


class Session(Protocol):
    """What can be run."""

    def run(self, images: NDArray[np.uint8], *, features: bool = False) -> Outputs:
        """images: uint8 [N, H, W, 3]."""


class Runner(Protocol):
    """Runs a session for many requests at once."""

    async def run(self, images: NDArray[np.uint8], *, features: bool = False) -> Outputs:
        """images: uint8 [N, H, W, 3], all of one request."""


class EachAlone:
    """Each image a run of its own in the executor, whose threads are as many as there are cores."""

    def __init__(self, session: Session, executor: Executor) -> None:
        self._session = session
        self._executor = executor

    async def run(self, images: NDArray[np.uint8], *, features: bool = False) -> Outputs:
        """images: uint8 [N, H, W, 3]."""
        loop = asyncio.get_running_loop()
        runs = [
            loop.run_in_executor(self._executor, self._run, images[index : index + 1], features)
            for index in range(len(images))
        ]
        return _joined(await asyncio.gather(*runs)) if len(runs) > 1 else await runs[0]

    def _run(self, images: NDArray[np.uint8], features: bool) -> Outputs:
        return self._session.run(images, features=features)


@dataclass
class _Asked:
    images: NDArray[np.uint8]
    features: bool
    answer: asyncio.Future[Outputs]


class Together:
    """One run at a time, since CUDA sessions crash under concurrent ones; each takes all that waits."""

    def __init__(self, session: Session, executor: Executor, max_batch: int = MAX_BATCH) -> None:
        self._session = session
        self._executor = executor
        self._max_batch = max_batch
        self._waiting: deque[_Asked] = deque()
        self._running: asyncio.Task[None] | None = None

    async def run(self, images: NDArray[np.uint8], *, features: bool = False) -> Outputs:
        """images: uint8 [N, H, W, 3]."""
        asked = _Asked(images, features, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._running is None:
            self._running = asyncio.create_task(self._run_all())
        return await asked.answer

    async def _run_all(self) -> None:
        try:
            while self._waiting:
                await self._run_batch(self._take_batch())
        finally:
            self._running = None

    def _take_batch(self) -> list[_Asked]:
        """From the front of the queue, at least one request and at most ``max_batch`` images."""
        batch = [self._waiting.popleft()]
        while self._waiting and _num_images(batch) + len(self._waiting[0].images) <= self._max_batch:
            batch.append(self._waiting.popleft())
        return [asked for asked in batch if not asked.answer.done()]  # done: its request was cancelled

    async def _run_batch(self, batch: list[_Asked]) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        try:
            outputs = await loop.run_in_executor(self._executor, self._run, batch)
        except Exception as error:  # each of these requests must learn of it; the next batch goes on
            for asked in batch:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
            return
        start = 0
        for asked in batch:
            end = start + len(asked.images)
            if not asked.answer.done():
                asked.answer.set_result(_part(outputs, start, end, asked.features))
            start = end

    def _run(self, batch: list[_Asked]) -> Outputs:
        images = np.concatenate([asked.images for asked in batch])
        return self._session.run(images, features=any(asked.features for asked in batch))


def _num_images(batch: list[_Asked]) -> int:
    return sum(len(asked.images) for asked in batch)


def _part(outputs: Outputs, start: int, end: int, features: bool) -> Outputs:
    wanted = outputs.features[start:end] if features and outputs.features is not None else None
    return Outputs(outputs.logits[start:end], outputs.embedding[start:end], wanted)


def _joined(parts: list[Outputs]) -> Outputs:
    features = [part.features for part in parts if part.features is not None]
    return Outputs(
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.embedding for part in parts]),
        np.concatenate(features) if features else None,
    )
