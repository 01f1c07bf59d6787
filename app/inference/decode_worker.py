"""A decoding process: photo bytes in, model input and viewing copy out, until the other end closes.

It may crash, run out of its memory or be killed at its deadline; nothing else is lost with it. It gets no
environment, so no secret, and opens no file. Run as ``python -m app.inference.decode_worker FD MAX_MEMORY``.
"""

import resource
import signal
import socket
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from PIL import Image

from app.inference import frames
from models.photo_quality import photo_warnings
from models.preprocess import (
    PhotoError,
    PhotoLimits,
    PhotoTooLarge,
    Preprocessing,
    UnsupportedPhotoFormat,
    fit,
    open_photo,
)

READY = b"\x06"
"""Sent once, when everything is imported and the first photo can come."""

VIEW_MAX_SIDE_PX = 1024
VIEW_QUALITY = 82
_KINDS: tuple[tuple[type[PhotoError], str], ...] = (
    (UnsupportedPhotoFormat, "unsupported"),
    (PhotoTooLarge, "too_large"),
    (PhotoError, "undecodable"),
)
_TOO_MUCH_MEMORY = "Decoding this photo takes more memory than is given to one photo here."


Reply = tuple[dict[str, Any], list[bytes | memoryview]]
"""Fields and blobs of one frame."""


def decode(data: bytes, wanted: Preprocessing, limits: PhotoLimits) -> Iterator[Reply]:
    """Facts and model input of one photo, then its viewing copy, from one decoding. Raises as ``open_photo``.

    Two frames, so that the model runs while the copy is encoded. The model input is that of
    ``models.preprocess.preprocess``, byte for byte. The viewing copy is what was decoded for it, which ``draft``
    may have reduced: a second decoding would cost more than the model's run.
    """
    image, info = open_photo(data, wanted.size_px, limits)
    pixels = fit(image, wanted)
    found = photo_warnings(pixels, width_px=info.width_px, height_px=info.height_px)
    yield {"info": info.model_dump(mode="json"), "warnings": found}, [pixels.data.cast("B")]
    yield {}, [viewing_copy(image)]


def viewing_copy(image: Image.Image) -> bytes:
    """A JPEG without metadata, its long side at most 1024 pixels."""
    image.info = {}  # the encoder would copy an embedded profile, comment or EXIF block from here
    if max(image.size) > VIEW_MAX_SIDE_PX:
        image.thumbnail((VIEW_MAX_SIDE_PX, VIEW_MAX_SIDE_PX), Image.Resampling.BILINEAR, reducing_gap=2.0)
    out = BytesIO()
    image.save(out, "JPEG", quality=VIEW_QUALITY)
    return out.getvalue()


def answer(request: dict[str, Any], data: bytes) -> Iterator[Reply]:
    """The frames that answer one request; a refusal is a frame too, and the last one."""
    try:
        wanted = Preprocessing.model_validate(request["preprocessing"])
        yield from decode(data, wanted, PhotoLimits.model_validate(request["limits"]))
    except PhotoError as error:
        kind = next(name for category, name in _KINDS if isinstance(error, category))
        sentence = _TOO_MUCH_MEMORY if isinstance(error.__cause__, MemoryError) else str(error)
        yield {"refused": kind, "sentence": sentence}, []
    except MemoryError:  # while resizing or encoding what had just been decoded
        yield {"refused": "undecodable", "sentence": _TOO_MUCH_MEMORY}, []


def serve(connection: socket.socket) -> None:
    """Answer requests until the service closes its end, however it ended."""
    while (prefix := _receive(connection, frames.PREFIX.size)) is not None:
        head_length, _ = frames.PREFIX.unpack(prefix)
        head = _receive(connection, head_length)
        if head is None:
            return
        request, lengths = frames.parse_head(bytes(head))
        data = _receive(connection, lengths[0])
        if data is None:
            return
        for fields, blobs in answer(request, bytes(data)):
            connection.sendall(frames.head(fields, blobs))
            for blob in blobs:
                connection.sendall(blob)


def _receive(connection: socket.socket, length: int) -> bytearray | None:
    buffer = bytearray(length)
    view, done = memoryview(buffer), 0
    while done < length:
        count = connection.recv_into(view[done:])
        if count == 0:
            return None
        done += count
    return buffer


def main() -> None:
    """Limit this process, then serve."""
    descriptor, max_memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (max_memory_bytes, max_memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which lets us finish
    try:
        with socket.socket(fileno=descriptor) as connection:
            connection.sendall(READY)
            serve(connection)
    except (BrokenPipeError, ConnectionResetError):
        return  # the service is gone


if __name__ == "__main__":
    main()
