"""One decoding process as the service sees it: start it, hand it a photo, take the answer, kill it."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.inference import frames
from models.photo_quality import PhotoWarning
from models.preprocess import (
    PhotoError,
    PhotoInfo,
    PhotoLimits,
    PhotoTooLarge,
    Preprocessing,
    UndecodablePhoto,
    UnsupportedPhotoFormat,
)

START_TIMEOUT_S = 60.0
_MAX_HEAD_BYTES = 100_000
_MAX_VIEW_BYTES = 8_000_000
_SOCKET_BUFFER_BYTES = 1 << 20
_READY = b"\x06"
_REFUSALS: dict[str, type[PhotoError]] = {
    "unsupported": UnsupportedPhotoFormat,
    "too_large": PhotoTooLarge,
    "undecodable": UndecodablePhoto,
}

OnPixels = Callable[[NDArray[np.uint8]], None]
"""Hears of the model's input, uint8 [H, W, 3], as soon as it is there."""


@dataclass(frozen=True)
class DecodedPhoto:
    """One photo: what the model gets (uint8 [H, W, 3]), what people get to see, and what is known of it."""

    pixels: NDArray[np.uint8]
    view_jpeg: bytes
    info: PhotoInfo
    warnings: tuple[PhotoWarning, ...]


class DecodeProcess:
    """A running decoding process. It handles one photo at a time."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket) -> None:
        self._process = process
        self._connection = connection

    @classmethod
    def start(cls, max_memory_bytes: int) -> "DecodeProcess":
        """Start a process; it cannot decode before ``ready``. Raises OSError."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        for end in (ours, theirs):  # a photo and its pixels go through in fewer pieces
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
        command = [sys.executable, "-m", "app.inference.decode_worker"]
        command += [str(theirs.fileno()), str(max_memory_bytes)]
        with theirs:
            try:
                process = subprocess.Popen(
                    command,
                    pass_fds=[theirs.fileno()],
                    env=_environment(),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # a terminal's Ctrl-C is the service's to handle
                )
            except OSError:
                ours.close()
                raise
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def interrupt(self) -> None:
        """End the process now, whatever it does. Who waits for it in ``decode`` sees it gone."""
        self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        """End the process now, and the connection to it: nobody may be waiting in ``decode``."""
        self.interrupt()
        self._connection.close()

    async def ready(self) -> None:
        """Wait until it has imported everything. Raises RuntimeError where it ended, TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(START_TIMEOUT_S):
            if await loop.sock_recv(self._connection, 1) != _READY:
                raise RuntimeError("a decoding process ended before it was ready")

    async def decode(
        self, data: bytes, wanted: Preprocessing, limits: PhotoLimits, on_pixels: OnPixels
    ) -> DecodedPhoto:
        """Decode one photo. ``on_pixels`` gets the model's input while the viewing copy is still being made.

        Raises PhotoError where the photo is refused; OSError, EOFError, ValueError or KeyError where the
        process ended or spoke nonsense. After these, or a cancellation, it is good for nothing but ``kill``.
        """
        loop = asyncio.get_running_loop()
        request = {"preprocessing": wanted.model_dump(), "limits": limits.model_dump()}
        await loop.sock_sendall(self._connection, frames.head(request, [data]))
        await loop.sock_sendall(self._connection, data)
        facts, pixels_length = await self._receive_head()
        if pixels_length != wanted.size_px**2 * 3:
            raise ValueError("the pixels are not as many as they should be")
        flat = np.frombuffer(await self._receive(pixels_length), dtype=np.uint8)
        pixels = flat.reshape(wanted.size_px, wanted.size_px, 3)
        info, warnings = PhotoInfo.model_validate(facts["info"]), tuple(facts["warnings"])
        on_pixels(pixels)
        _, view_length = await self._receive_head()
        if view_length > _MAX_VIEW_BYTES:
            raise ValueError("the viewing copy is too large")
        return DecodedPhoto(pixels, bytes(await self._receive(view_length)), info, warnings)

    async def _receive_head(self) -> tuple[dict[str, Any], int]:
        """Fields of the next frame and the length of its one blob. Raises PhotoError where it is a refusal."""
        head_length, _ = frames.PREFIX.unpack(await self._receive(frames.PREFIX.size))
        if head_length > _MAX_HEAD_BYTES:
            raise ValueError("the head of a frame is too long")
        fields, lengths = frames.parse_head(bytes(await self._receive(head_length)))
        if "refused" in fields:
            raise _REFUSALS[fields["refused"]](fields["sentence"])
        (length,) = lengths
        return fields, length

    async def _receive(self, length: int) -> bytearray:
        loop = asyncio.get_running_loop()
        buffer = bytearray(length)
        view, done = memoryview(buffer), 0
        while done < length:
            count = await loop.sock_recv_into(self._connection, view[done:])
            if count == 0:
                raise EOFError("the decoding process is gone")
            done += count
        return buffer


def _environment() -> dict[str, str]:
    """No secret of the service. One thread: a second would only map address space, which is limited."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    source = Path(__file__).parents[2]
    return {**kept, "PYTHONPATH": str(source), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
