"""Decoding in processes that may die: a segfault, a memory limit or a deadline costs one photo, no more.

Each process handles one photo at a time. One that dies is replaced and its photo tried once more, since
something else may have killed it; one that is over its deadline is killed, and its photo is refused.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.inference.decode_process import DecodedPhoto, DecodeProcess, OnPixels
from app.inference.niceness import lower_process
from models.preprocess import PhotoError, PhotoLimits, PhotoTooLarge, Preprocessing, UndecodablePhoto, sniff

MAX_MEMORY_BYTES = 1_000_000_000
"""Address space of a decoding process. Idle it maps about a fifth of it."""

_RESTART_PAUSE_S = 1.0


_Heir = asyncio.Future[DecodeProcess] | None
"""Who gets the replacement of a process: the photo it died of, for its second try, or nobody (None)."""


def _ignore(_pixels: NDArray[np.uint8]) -> None:
    """Nobody wants the pixels early."""


class WorkerDied(Exception):
    """The decoding process ended, or spoke nonsense, in the middle of a photo."""


class DecoderStopped(RuntimeError):
    """The pool was stopped; nothing is decoded any more."""


@dataclass
class DecodeCounts:
    """How the photos and the processes fared since the start."""

    decoded: int = 0
    refused: int = 0
    over_deadline: int = 0
    died: int = 0


@dataclass
class DecodePool:
    """``num_workers`` decoding processes. ``start`` before use; ``stop`` kills them.

    ``gives_way``: they have a low priority.
    """

    num_workers: int
    limits: PhotoLimits = field(default_factory=PhotoLimits)
    deadline_s: float = 5.0
    max_memory_bytes: int = MAX_MEMORY_BYTES
    gives_way: bool = False
    counts: DecodeCounts = field(default_factory=DecodeCounts)
    _idle: asyncio.LifoQueue[DecodeProcess | None] = field(default_factory=asyncio.LifoQueue)
    _workers: set[DecodeProcess] = field(default_factory=set)
    _replacements: set[asyncio.Task[None]] = field(default_factory=set)
    _stopped: bool = True
    _num_waiting: int = 0

    @property
    def num_waiting(self) -> int:
        """Photos that wait for a process."""
        return self._num_waiting

    @property
    def process_ids(self) -> list[int]:
        """Processes that are there now."""
        return [worker.pid for worker in self._workers]

    async def start(self) -> None:
        """Start every process and wait until all can decode. Raises OSError, RuntimeError."""
        self._stopped = False
        try:
            await asyncio.gather(*(self._add_worker() for _ in range(self.num_workers)))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Kill every process. Photos in the middle of it, and those that wait, fail with DecoderStopped."""
        self._stopped = True
        for task in list(self._replacements):
            task.cancel()
        await asyncio.gather(*self._replacements, return_exceptions=True)
        while not self._idle.empty():
            if (worker := self._idle.get_nowait()) is not None:
                self._drop(worker)
        for worker in self._workers:
            worker.interrupt()  # the photo in it sees that, and drops it
        for _ in range(self._num_waiting):
            self._idle.put_nowait(None)

    async def decode(self, data: bytes, wanted: Preprocessing, on_pixels: OnPixels = _ignore) -> DecodedPhoto:
        """Decode one photo. Raises UnsupportedPhotoFormat, PhotoTooLarge, UndecodablePhoto.

        ``on_pixels`` gets the model's input before the viewing copy is made; after a second try, once more.
        """
        try:
            if len(data) > self.limits.max_bytes:
                raise PhotoTooLarge(
                    f"The photo has {len(data):,} bytes; the limit is {self.limits.max_bytes:,}."
                )
            sniff(data)  # what is no photo needs no process to say so
            photo = await self._decode_or_retry(data, wanted, on_pixels)
        except PhotoError:
            self.counts.refused += 1
            raise
        self.counts.decoded += 1
        return photo

    async def _decode_or_retry(self, data: bytes, wanted: Preprocessing, on_pixels: OnPixels) -> DecodedPhoto:
        heir: asyncio.Future[DecodeProcess] = asyncio.get_running_loop().create_future()
        with contextlib.suppress(WorkerDied):
            return await self._decode_once(await self._take_worker(), data, wanted, on_pixels, heir)
        # In a process that has just started: whatever killed the first one may have killed its idle siblings.
        try:
            return await self._decode_once(await self._inherit(heir), data, wanted, on_pixels)
        except WorkerDied:
            raise UndecodablePhoto(
                "Decoding this photo ended the decoding process, twice. It is damaged in an unusual way."
            ) from None

    async def _decode_once(
        self,
        worker: DecodeProcess,
        data: bytes,
        wanted: Preprocessing,
        on_pixels: OnPixels,
        heir: _Heir = None,
    ) -> DecodedPhoto:
        try:
            async with asyncio.timeout(self.deadline_s):
                photo = await worker.decode(data, wanted, self.limits, on_pixels)
        except TimeoutError:
            self.counts.over_deadline += 1
            self._replace(worker)
            raise UndecodablePhoto(
                f"Decoding this photo took longer than the {self.deadline_s:g} seconds that a photo gets."
            ) from None
        except PhotoError:
            self._idle.put_nowait(worker)
            raise
        except (OSError, EOFError, ValueError, KeyError) as error:
            if self._stopped:
                self._drop(worker)
                raise DecoderStopped("the decoding processes were stopped") from error
            self.counts.died += 1
            self._replace(worker, heir)
            raise WorkerDied from error
        except BaseException:  # cancelled: the process would answer the next photo with this one
            self._replace(worker)
            raise
        self._idle.put_nowait(worker)
        return photo

    async def _take_worker(self) -> DecodeProcess:
        self._num_waiting += 1
        try:
            while not self._stopped and (worker := await self._idle.get()) is not None:
                if worker.is_alive:
                    return worker
                self.counts.died += 1  # killed while it was idle: no photo is to blame
                self._replace(worker)
        finally:
            self._num_waiting -= 1
        raise DecoderStopped("the decoding processes were stopped")

    async def _inherit(self, heir: asyncio.Future[DecodeProcess]) -> DecodeProcess:
        self._num_waiting += 1
        try:
            return await heir
        except asyncio.CancelledError:
            if heir.done() and not heir.cancelled():
                self._idle.put_nowait(heir.result())
            raise
        finally:
            self._num_waiting -= 1

    def _replace(self, worker: DecodeProcess, heir: _Heir = None) -> None:
        self._drop(worker)
        if self._stopped:
            return
        task = asyncio.create_task(self._add_worker_in_the_end(heir))
        self._replacements.add(task)
        task.add_done_callback(self._replacements.discard)

    def _drop(self, worker: DecodeProcess) -> None:
        self._workers.discard(worker)
        worker.kill()

    async def _add_worker_in_the_end(self, heir: _Heir) -> None:
        try:
            while not await self._try_to_add_worker(heir):
                await asyncio.sleep(_RESTART_PAUSE_S)
        finally:
            if heir is not None and not heir.done():
                heir.set_exception(DecoderStopped("the decoding processes were stopped"))

    async def _try_to_add_worker(self, heir: _Heir) -> bool:
        try:
            await self._add_worker(heir)
        except (OSError, RuntimeError):  # out of processes or memory for now; a TimeoutError is an OSError
            return False
        return True

    async def _add_worker(self, heir: _Heir = None) -> None:
        worker = await asyncio.to_thread(DecodeProcess.start, self.max_memory_bytes)
        self._workers.add(worker)
        if self.gives_way:
            lower_process(worker.pid)
        try:
            await worker.ready()
        except BaseException:
            self._drop(worker)
            raise
        if heir is not None and not heir.done():
            heir.set_result(worker)
        else:
            self._idle.put_nowait(worker)
