"""A request's body while it streams in, and the parts of a multipart form in it. Knows nothing of what they hold."""

from __future__ import annotations  # for a type that the library has for type checkers only

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import InvalidField, UnreadableRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELD_BYTES = 1_000
MAX_HEADER_BYTES = 8_000
IDLE_S = 30.0
"""A body that brings nothing for so long is given up."""

Reserve = Callable[[int], None]
"""Hears of every chunk before it is kept; raises to refuse it."""


async def body_chunks(request: Request, reserve: Reserve | None = None) -> AsyncIterator[bytes]:
    """A body as it comes in. Raises UnreadableRequest when it stops coming."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise UnreadableRequest(f"The body stopped coming for {IDLE_S:g} seconds.") from None
        if reserve is not None:
            reserve(len(chunk))
        yield chunk


class FormParts(ABC):
    """Hears of the parts of a form, in the body's order. Its ``_`` methods are what the parser calls."""

    def __init__(self) -> None:
        self.ended = False
        self._num_header_bytes = 0
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = b""

    @abstractmethod
    def begin(self, name: str, filename: str | None) -> None:
        """A part begins. ``filename`` is what the sender calls it: never a path of ours."""

    @abstractmethod
    def add(self, content: memoryview) -> None:
        """A piece of the part's content."""

    def end(self) -> None:
        """The part is whole."""
        return

    def callbacks(self) -> MultipartCallbacks:
        """By the parser's names for them."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": lambda data, start, end: self.add(memoryview(data)[start:end]),
            "on_part_end": self.end,
            "on_end": self._end_form,
        }

    def _begin_part(self) -> None:
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
        filename = options.get(b"filename")
        self.begin(
            options[b"name"].decode("utf-8", "replace"),
            None if filename is None else filename.decode("utf-8", "replace")[:255],
        )

    def _end_form(self) -> None:
        self.ended = True


async def read_form(
    request: Request,
    options: Mapping[bytes, bytes],
    parts: FormParts,
    *,
    reserve: Reserve | None = None,
    after_chunk: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Let ``parts`` hear of a form. ``options``: of the body's Content-Type.

    Raises UnreadableRequest, and what ``parts``, ``reserve`` and ``after_chunk`` raise.
    """
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise UnreadableRequest("The multipart body's Content-Type names no boundary of 1 to 70 characters.")
    parser = MultipartParser(boundary, parts.callbacks())
    try:
        async for chunk in body_chunks(request, reserve):
            parser.write(chunk)
            if after_chunk is not None:
                await after_chunk()
        parser.finalize()
    except FormParserError as error:
        raise UnreadableRequest("The multipart body is malformed.") from error
    if not parts.ended:
        raise UnreadableRequest("The multipart body is cut off: its closing boundary is missing.")


def check_field_size(name: str, num_bytes: int) -> None:
    """Raises InvalidField for a form field, none that holds a file, that is too long."""
    if num_bytes > MAX_FIELD_BYTES:
        raise InvalidField.of(name[:100], f"longer than {MAX_FIELD_BYTES} bytes")
