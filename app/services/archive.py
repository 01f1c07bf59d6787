"""A bundle as one zip, made while it is sent. The same bundle gives the same bytes."""

import asyncio
import zipfile
from collections.abc import AsyncIterator, Iterator
from io import RawIOBase
from pathlib import Path
from typing import Any

from models.bundle import file_names

_CHUNK_BYTES = 256 * 1024
_EPOCH_1980 = (1980, 1, 1, 0, 0, 0)


class _Pipe(RawIOBase):
    """A file that is only written to: what was written since is taken away and sent."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def write(self, data: Any, /) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def zip_chunks(folder: Path, prefix: str) -> Iterator[bytes]:
    """The files of a bundle folder in a zip, under ``prefix``/. Not compressed: weights hardly shrink."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for name in file_names(folder):
            info = zipfile.ZipInfo(f"{prefix}/{name}", _EPOCH_1980)
            info.external_attr = 0o644 << 16
            with (folder / name).open("rb") as source, archive.open(info, "w") as target:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
                    yield pipe.take()
    yield pipe.take()


async def stream_zip(folder: Path, prefix: str) -> AsyncIterator[bytes]:
    """``zip_chunks``, with the reading in threads."""
    chunks = zip_chunks(folder, prefix)
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk
