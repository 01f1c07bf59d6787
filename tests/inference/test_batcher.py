"""The way of many requests through one session, with a real one."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from app.inference.batcher import EachAlone, Together
from app.inference.session import OnnxSession, Outputs
from models import bundle
from tests.tiny_bundle import SIZE_PX, TAXA, drawn_inputs, write_tiny_bundle

IMAGES, _ = drawn_inputs([3] * len(TAXA), first_seed=700)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> OnnxSession:
    found = bundle.read(write_tiny_bundle(tmp_path_factory.mktemp("store")))
    return OnnxSession(found.onnx, size_px=SIZE_PX, provider="cpu")


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


class Watched:
    """A session that notes the sizes of its runs and how many were under way, and can be held up or fail."""

    def __init__(self, session: OnnxSession) -> None:
        self._session = session
        self.sizes: list[int] = []
        self.most_at_once = 0
        self.free = threading.Event()
        self.free.set()
        self.broken = False
        self._at_once = 0

    def run(self, images: NDArray[np.uint8], *, features: bool = False) -> Outputs:
        self.sizes.append(len(images))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        self.free.wait()
        self._at_once -= 1
        if self.broken:
            raise RuntimeError("the graph met something it cannot do")
        return self._session.run(images, features=features)


async def test_what_waits_runs_together_and_each_gets_its_own(
    session: OnnxSession, executor: ThreadPoolExecutor
) -> None:
    watched = Watched(session)
    runner = Together(watched, executor)
    watched.free.clear()
    parts = [IMAGES[0:1], IMAGES[1:4], IMAGES[4:6], IMAGES[6:7]]
    runs = [asyncio.create_task(runner.run(part, features=index == 2)) for index, part in enumerate(parts)]
    while not watched.sizes:
        await asyncio.sleep(0.001)
    watched.free.set()
    answers = await asyncio.gather(*runs)
    assert sum(watched.sizes) == 7
    assert len(watched.sizes) < len(parts)
    assert watched.most_at_once == 1
    for part, answer in zip(parts, answers, strict=True):
        np.testing.assert_allclose(answer.logits, session.run(part).logits, atol=1e-5)
    assert [answer.features is not None for answer in answers] == [False, False, True, False]


async def test_a_batch_has_a_limit(session: OnnxSession, executor: ThreadPoolExecutor) -> None:
    watched = Watched(session)
    runner = Together(watched, executor, max_batch=4)
    await asyncio.gather(*(runner.run(IMAGES[index : index + 3]) for index in range(5)))
    assert max(watched.sizes) <= 4


async def test_one_request_over_the_limit_still_runs(
    session: OnnxSession, executor: ThreadPoolExecutor
) -> None:
    answer = await Together(session, executor, max_batch=2).run(IMAGES[:5])
    assert answer.logits.shape == (5, len(TAXA))


async def test_a_failed_run_is_told_to_all_of_it_and_the_next_one_works(
    session: OnnxSession, executor: ThreadPoolExecutor
) -> None:
    watched = Watched(session)
    runner = Together(watched, executor)
    watched.broken = True
    outcomes = await asyncio.gather(
        *(runner.run(IMAGES[index : index + 1]) for index in range(3)), return_exceptions=True
    )
    assert all(isinstance(outcome, RuntimeError) for outcome in outcomes)
    watched.broken = False
    assert (await runner.run(IMAGES[:1])).logits.shape == (1, len(TAXA))


async def test_a_cancelled_request_leaves_the_others_alone(
    session: OnnxSession, executor: ThreadPoolExecutor
) -> None:
    watched = Watched(session)
    runner = Together(watched, executor)
    watched.free.clear()
    runs = [asyncio.create_task(runner.run(IMAGES[index : index + 1])) for index in range(4)]
    await asyncio.sleep(0.01)
    runs[2].cancel()
    watched.free.set()
    outcomes = await asyncio.gather(*runs, return_exceptions=True)
    assert isinstance(outcomes[2], asyncio.CancelledError)
    for index in (0, 1, 3):
        outcome = outcomes[index]
        assert isinstance(outcome, Outputs)
        np.testing.assert_allclose(outcome.logits, session.run(IMAGES[index : index + 1]).logits, atol=1e-5)


async def test_on_a_cpu_each_image_is_a_run_of_its_own(
    session: OnnxSession, executor: ThreadPoolExecutor
) -> None:
    watched = Watched(session)
    answer = await EachAlone(watched, executor).run(IMAGES[:5], features=True)
    assert watched.sizes == [1] * 5
    assert answer.features is not None
    np.testing.assert_allclose(answer.logits, session.run(IMAGES[:5]).logits, atol=1e-5)
