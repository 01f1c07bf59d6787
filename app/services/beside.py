"""Identifying beside the answers: the same way as theirs, at a low priority, keeping nothing.

What a candidate would answer, in a shadow or on uploaded photos, is what it will answer once it is deployed.
"""

import asyncio

from app.inference.decode import DecodePool
from app.inference.engine import DeployedModel, Engine
from app.services.answers import IdentifyAnswer
from app.services.identify import IdentifyRequest, IdentifyService, KeepsNone, KnowsChecklists
from models.bundle import Bundle
from models.preprocess import PhotoLimits


class BesideDecoder:
    """One decoding process of low priority, started when it is first needed."""

    def __init__(self, limits: PhotoLimits, deadline_s: float) -> None:
        # It waits for whoever has the core: its deadline is for photos that never end, not for slow ones.
        self.pool = DecodePool(1, limits=limits, deadline_s=10 * deadline_s, gives_way=True)
        self._started = False
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start it unless it runs. Raises OSError, RuntimeError."""
        async with self._starting:
            if not self._started:
                await self.pool.start()
                self._started = True

    async def stop(self) -> None:
        """End it; whoever waits fails with DecoderStopped."""
        if self._started:
            await self.pool.stop()


class Beside:
    """Versions that answer to nobody, at most one of each model. ``close`` when nothing runs any more."""

    def __init__(self, decoder: BesideDecoder, provider: str, lists: KnowsChecklists) -> None:
        self._decoder = decoder
        self._engine = Engine(provider=provider, num_threads=1, gives_way=True)
        self._service = IdentifyService(self._engine, decoder.pool, KeepsNone(), lists)

    async def load(self, bundle: Bundle) -> None:
        """Load a version, in place of another one of its model. Raises ProviderUnavailable, OSError."""
        await self._decoder.start()
        self._engine.swap(await asyncio.to_thread(self._engine.load, bundle, 0))

    def drop(self, model: str) -> None:
        """Let a model's version go."""
        self._engine.drop(model)

    def loaded(self, model: str) -> DeployedModel | None:
        """The version of a model that is loaded."""
        try:
            return self._engine.get(model)
        except KeyError:
            return None

    async def answer(self, asked: IdentifyRequest) -> IdentifyAnswer:
        """What the loaded version of ``asked.model`` would answer. Raises what identifying raises."""
        return (await self._service.answer(asked)).answer

    def close(self) -> None:
        """End its thread."""
        self._engine.close()
