"""A bundle's zip out of a request's body, onto the disk while it streams in. Never more than a piece in memory."""

from __future__ import annotations  # for a type that the library has for type checkers only

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import InvalidField, PhotoTooLarge, UnreadableRequest
from app.web.uploads import MAX_FIELD_BYTES, MAX_HEADER_BYTES, body_chunks, boundary_of

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "bundle"
_ZIP_TYPES = (b"application/zip", b"application/x-zip-compressed", b"application/octet-stream")
_PIECE_BYTES = 1 << 20

CheckForm = Callable[[str], None]
"""Hears of the form's token before any of the file is kept; raises to refuse it."""


async def receive_bundle(
    request: Request, target: Path, max_bytes: int, check_form: CheckForm | None = None
) -> None:
    """Write the zip of a request's body, raw or in the multipart field ``bundle``, to a new file.

    Raises UnreadableRequest, InvalidField, PhotoTooLarge, OSError, and what ``check_form`` raises.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    with target.open("xb") as file:
        sink = _Sink(file, max_bytes)
        if kind == b"multipart/form-data":
            await _receive_form(request, boundary_of(options), sink, check_form)
        elif kind in _ZIP_TYPES and check_form is None:
            async for chunk in body_chunks(request, _nothing):
                sink.add(chunk)
                await sink.write()
        else:
            raise UnreadableRequest(
                f"Send the bundle's zip as application/zip, or as multipart/form-data in the field {FIELD!r}."
            )
        await sink.write(last=True)
    if not sink.num_bytes:
        raise InvalidField.of(FIELD, "no file was sent; choose the zip of a bundle")


def _nothing(_num_bytes: int) -> None:
    """What is on the disk holds no memory."""


class _Sink:
    """Gathers pieces and writes them in a thread."""

    def __init__(self, file: IO[bytes], max_bytes: int) -> None:
        self._file, self._max_bytes = file, max_bytes
        self._waiting = bytearray()
        self.num_bytes = 0

    def add(self, piece: bytes | memoryview) -> None:
        """Keep a piece for the next ``write``. Raises PhotoTooLarge."""
        self.num_bytes += len(piece)
        if self.num_bytes > self._max_bytes:
            raise PhotoTooLarge(f"The bundle has more than {self._max_bytes:,} bytes, the most taken here.")
        self._waiting += piece

    async def write(self, *, last: bool = False) -> None:
        """Write what waits, once it is worth it."""
        if self._waiting and (last or len(self._waiting) >= _PIECE_BYTES):
            waiting, self._waiting = self._waiting, bytearray()
            await asyncio.to_thread(self._file.write, waiting)


async def _receive_form(request: Request, boundary: bytes, sink: _Sink, check_form: CheckForm | None) -> None:
    form = _Form(sink, check_form)
    parser = MultipartParser(boundary, form.callbacks())
    try:
        async for chunk in body_chunks(request, _nothing):
            parser.write(chunk)
            await sink.write()
        parser.finalize()
    except FormParserError as error:
        raise UnreadableRequest("The multipart body is malformed.") from error
    if not form.ended:
        raise UnreadableRequest("The upload was cut off before its end. Send it again.")
    if not form.num_files:
        form.check_token()


class _Form:
    """The parts of a form with one file. Its methods are what the parser calls, in the body's order."""

    def __init__(self, sink: _Sink, check_form: CheckForm | None) -> None:
        self.ended, self.num_files = False, 0
        self._sink, self._check_form = sink, check_form
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._num_header_bytes = 0
        self._disposition, self._name = b"", ""
        self._token = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """By the parser's names for them."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_content,
            "on_end": self._end,
        }

    def check_token(self) -> None:
        """Raises what the form's check raises."""
        if self._check_form is not None:
            self._check_form(self._token.decode("utf-8", "replace"))

    def _begin(self) -> None:
        self._num_header_bytes, self._disposition = 0, b""

    def _add_header(self, part: int, data: bytes) -> None:
        self._num_header_bytes += len(data)
        if self._num_header_bytes > MAX_HEADER_BYTES:
            raise UnreadableRequest("A part of the multipart body has too long headers.")
        self._header[part].extend(data)

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise UnreadableRequest("A part of the multipart body has no name.")
        self._name = options[b"name"].decode("utf-8", "replace")[:100]
        if self._name == FIELD:
            self.num_files += 1
            if self.num_files > 1:
                raise InvalidField.of(FIELD, "one bundle in one request")
            self.check_token()
        elif self._name != "form_token" or self._check_form is None:
            raise InvalidField.of(self._name, f"unknown form field; the bundle goes into {FIELD!r}")

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        if self._name == FIELD:
            self._sink.add(memoryview(data)[start:end])
            return
        self._token += data[start:end]
        if len(self._token) > MAX_FIELD_BYTES:
            raise InvalidField.of("form_token", f"longer than {MAX_FIELD_BYTES} bytes")

    def _end(self) -> None:
        self.ended = True
