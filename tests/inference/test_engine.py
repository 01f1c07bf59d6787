"""Deployed models: one real session each, swapped whole."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from app.inference.engine import Engine
from app.inference.session import CPU, OnnxSession, ProviderUnavailable, active_provider, has_gpu
from models import bundle
from tests.tiny_bundle import EMBEDDING_DIM, SIZE_PX, TAXA, drawn_inputs, write_tiny_bundle

IMAGES, _ = drawn_inputs([2] * len(TAXA), first_seed=500)
without_gpu = pytest.mark.skipif(has_gpu(), reason="there is a GPU here; this is about machines without")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    write_tiny_bundle(folder, "tiny-moths", "1.0.0", seed=0)
    write_tiny_bundle(folder, "tiny-moths", "1.1.0", seed=1)
    write_tiny_bundle(folder, "other-moths", "1.0.0", seed=2)
    return folder


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(provider="cpu", default_model="tiny-moths", num_threads=2)
    yield engine
    engine.close()


async def test_it_says_what_the_reference_implementation_says(engine: Engine, store: Path) -> None:
    found = bundle.read(store / "tiny-moths/1.0.0")
    answer = await engine.run(engine.load(found, epoch=1), IMAGES, features=True)
    reference = ReferenceEvaluator(str(found.path / "model.onnx")).run(None, {"image": IMAGES})
    logits, embedding, features = (np.asarray(value) for value in reference)
    assert answer.features is not None
    np.testing.assert_allclose(answer.logits, logits, atol=1e-4)
    np.testing.assert_allclose(answer.embedding, embedding, atol=1e-5)
    np.testing.assert_allclose(answer.features, features, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(answer.embedding, axis=1), 1.0, atol=1e-5)


async def test_features_are_there_only_when_asked_for(engine: Engine, store: Path) -> None:
    deployed = engine.load(bundle.read(store / "tiny-moths/1.0.0"), epoch=1)
    assert (await engine.run(deployed, IMAGES[:1])).features is None
    answer = await engine.run(deployed, IMAGES[:3], features=True)
    assert answer.features is not None
    assert answer.features.shape[:2] == (3, EMBEDDING_DIM)


async def test_a_loaded_version_answers_only_once_it_is_swapped_in(engine: Engine, store: Path) -> None:
    prepared = engine.load(bundle.read(store / "tiny-moths/1.0.0"), epoch=1)
    assert engine.deployed() == []
    engine.swap(prepared)
    assert engine.get("tiny-moths") is prepared


async def test_a_request_ends_with_the_version_it_began_with(engine: Engine, store: Path) -> None:
    engine.swap(engine.load(bundle.read(store / "tiny-moths/1.0.0"), epoch=1))
    began_with = engine.get("tiny-moths")
    before = await engine.run(began_with, IMAGES[:1])
    engine.swap(engine.load(bundle.read(store / "tiny-moths/1.1.0"), epoch=2))
    after = await engine.run(began_with, IMAGES[:1])
    assert (began_with.card.version, began_with.epoch) == ("1.0.0", 1)
    assert (engine.get("tiny-moths").card.version, engine.get("tiny-moths").epoch) == ("1.1.0", 2)
    assert np.array_equal(before.logits, after.logits)
    assert not np.array_equal(before.logits, (await engine.run(engine.get("tiny-moths"), IMAGES[:1])).logits)


async def test_the_same_bundle_at_a_later_epoch_is_not_loaded_twice(engine: Engine, store: Path) -> None:
    found = bundle.read(store / "tiny-moths/1.0.0")
    engine.swap(engine.load(found, epoch=1))
    again = engine.load(found, epoch=3)
    assert again.epoch == 3
    assert again.session is engine.get("tiny-moths").session


async def test_the_default_model_answers_where_none_is_named(engine: Engine, store: Path) -> None:
    with pytest.raises(KeyError):
        engine.get()
    engine.swap(engine.load(bundle.read(store / "other-moths/1.0.0"), epoch=1))
    assert engine.get().card.name == "other-moths"
    engine.swap(engine.load(bundle.read(store / "tiny-moths/1.0.0"), epoch=1))
    assert engine.get().card.name == "tiny-moths"
    assert [deployed.card.name for deployed in engine.deployed()] == ["other-moths", "tiny-moths"]
    with pytest.raises(KeyError):
        engine.get("butterflies")


async def test_many_requests_at_once_get_each_their_own_answer(engine: Engine, store: Path) -> None:
    deployed = engine.load(bundle.read(store / "tiny-moths/1.0.0"), epoch=1)
    alone = [await engine.run(deployed, IMAGES[index : index + 1]) for index in range(len(IMAGES))]
    together = await asyncio.gather(
        *(engine.run(deployed, IMAGES[index : index + 1]) for index in range(len(IMAGES)))
    )
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.logits, other.logits)


def test_the_active_provider_is_named() -> None:
    assert active_provider("cpu") == CPU


@without_gpu
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_asking_for_a_provider_that_is_not_there_is_an_error_with_a_way_out(provider: str) -> None:
    with pytest.raises(ProviderUnavailable, match="LIGHTTRAP_PROVIDER=cpu"):
        Engine(provider=provider)


@without_gpu
def test_auto_takes_the_cpu_where_there_is_no_gpu(store: Path) -> None:
    found = bundle.read(store / "tiny-moths/1.0.0")
    session = OnnxSession(found.onnx, size_px=SIZE_PX, provider="auto")
    assert session.provider == CPU
    assert not session.is_accelerated
