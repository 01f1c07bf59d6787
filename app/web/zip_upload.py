"""A zip out of a request's body into a file, while it streams in. Knows nothing of what is in it."""

from __future__ import annotations  # for a type that the library has for type checkers only

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import DiskFull, InvalidField, PhotoTooLarge, UnreadableRequest
from app.web.uploads import IDLE_S

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "photos"
MAX_FIELD_BYTES = 1_000
MAX_FIELDS = 8
_ZIP_TYPES = (b"application/zip", b"application/x-zip-compressed", b"application/octet-stream")


async def receive_zip(request: Request, path: Path, max_bytes: int) -> dict[str, str]:
    """Write the zip to ``path``; the other fields of the form, where it is one.

    Raises UnreadableRequest, InvalidField, PhotoTooLarge, DiskFull.
    """
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    form = media_type == b"multipart/form-data"
    if not form and media_type not in _ZIP_TYPES:
        raise UnreadableRequest("Send the zip with the type application/zip, or in the form field 'photos'.")
    boundary = options.get(b"boundary", b"")
    if form and not 1 <= len(boundary) <= 70:
        raise UnreadableRequest("The multipart body's Content-Type names no boundary of 1 to 70 characters.")
    try:
        with path.open("xb") as file:
            sink = _Sink(file, max_bytes)
            if form:
                await _read_form(request, boundary, sink)
            else:
                await _read(request, sink.write)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk is full: the zip was not kept.") from error
        raise
    if not sink.num_bytes:
        raise InvalidField.of(FIELD, "choose a zip of photos; there is none in what was sent")
    return sink.fields


class _Sink:
    """Where the parts of a body go. Its ``_`` methods are what the parser calls, in the body's order."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file, self._max_bytes = file, max_bytes
        self.num_bytes = 0
        self.fields: dict[str, str] = {}
        self.ended = False
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._name = ""
        self._content = bytearray()

    def write(self, data: bytes) -> None:
        self.num_bytes += len(data)
        if self.num_bytes > self._max_bytes:
            raise PhotoTooLarge(
                f"The zip has more than {self._max_bytes:,} bytes, the most that is taken here."
            )
        self._file.write(data)

    def callbacks(self) -> MultipartCallbacks:
        """By the parser's names for them."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_header_name,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_content,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._name, self._content = "", bytearray()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])
        if len(self._header[1]) > MAX_FIELD_BYTES:
            raise UnreadableRequest("A part of the multipart body has too long headers.")

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            options = parse_options_header(bytes(value))[1]
            self._name = options.get(b"name", b"").decode("utf-8", "replace")[:100]
        self._header = (bytearray(), bytearray())

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        if self._name == FIELD:
            self.write(data[start:end])
            return
        self._content += memoryview(data)[start:end]
        if len(self._content) > MAX_FIELD_BYTES:
            raise InvalidField.of(self._name, f"longer than {MAX_FIELD_BYTES} bytes")

    def _end_part(self) -> None:
        if self._name == FIELD:
            return
        if self._name in self.fields or len(self.fields) >= MAX_FIELDS:
            raise InvalidField.of(self._name, "is sent twice, or there are too many fields")
        self.fields[self._name] = self._content.decode("utf-8", "replace")

    def _end(self) -> None:
        self.ended = True


async def _read_form(request: Request, boundary: bytes, sink: _Sink) -> None:
    parser = MultipartParser(boundary, sink.callbacks())
    try:
        await _read(request, parser.write)
        parser.finalize()
    except FormParserError as error:
        raise UnreadableRequest("The multipart body is malformed.") from error
    if not sink.ended:
        raise UnreadableRequest("The multipart body is cut off: its closing boundary is missing.")


async def _read(request: Request, take: Callable[[bytes], object]) -> None:
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise UnreadableRequest(f"The body stopped coming for {IDLE_S:g} seconds.") from None
        await asyncio.to_thread(take, chunk)
