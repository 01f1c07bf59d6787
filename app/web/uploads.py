"""Photos and form fields out of a request's body, while it streams in. Knows no model and no answer."""

from __future__ import annotations  # for a type that the library has for type checkers only

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import InvalidField, PhotoTooLarge, UnreadableRequest, UnsupportedPhoto

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

PHOTO_FIELDS = ("image", "images")
MAX_FIELDS = 32
MAX_FIELD_BYTES = 1_000
MAX_HEADER_BYTES = 8_000
IDLE_S = 30.0
"""A body that brings nothing for so long is given up."""

Reserve = Callable[[int], None]
"""Hears of every chunk before it is kept; raises to refuse it."""


@dataclass(frozen=True)
class SentPhoto:
    """One photo as it was sent. ``filename`` is what the sender calls it: never a path of ours."""

    data: bytes
    filename: str | None


@dataclass
class Upload:
    """What a body held."""

    photos: list[SentPhoto] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class UploadLimits:
    """How many photos, and how many bytes each."""

    max_photos: int
    max_photo_bytes: int


async def read_upload(request: Request, limits: UploadLimits, reserve: Reserve) -> Upload:
    """A multipart form, or the raw bytes of one photo.

    Raises UnreadableRequest, UnsupportedPhoto for another content type, PhotoTooLarge, InvalidField.
    """
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    if media_type == b"multipart/form-data":
        return await _read_form(request, boundary_of(options), limits, reserve)
    if media_type.startswith(b"image/") or media_type == b"application/octet-stream":
        return Upload(photos=[SentPhoto(await _read_photo(request, limits, reserve), None)])
    raise UnsupportedPhoto(
        "Send photos as multipart/form-data in the field 'image', or the bytes of one with its image/* type."
    )


def boundary_of(options: Mapping[bytes, bytes]) -> bytes:
    """The boundary that a multipart body's Content-Type names. Raises UnreadableRequest."""
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise UnreadableRequest("The multipart body's Content-Type names no boundary of 1 to 70 characters.")
    return boundary


async def _read_photo(request: Request, limits: UploadLimits, reserve: Reserve) -> bytes:
    chunks: list[bytes] = []
    num_bytes = 0
    async for chunk in body_chunks(request, reserve):
        num_bytes += len(chunk)
        _check_size(num_bytes, limits)
        chunks.append(chunk)
    if not num_bytes:
        raise UnreadableRequest("The body is empty: there is no photo in it.")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _read_form(request: Request, boundary: bytes, limits: UploadLimits, reserve: Reserve) -> Upload:
    form = _Form(limits)
    parser = MultipartParser(boundary, form.callbacks())
    try:
        async for chunk in body_chunks(request, reserve):
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise UnreadableRequest("The multipart body is malformed.") from error
    if not form.ended:
        raise UnreadableRequest("The multipart body is cut off: its closing boundary is missing.")
    return form.upload


async def body_chunks(request: Request, reserve: Reserve) -> AsyncIterator[bytes]:
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
        reserve(len(chunk))
        yield chunk


def _check_size(num_bytes: int, limits: UploadLimits) -> None:
    if num_bytes > limits.max_photo_bytes:
        raise PhotoTooLarge(f"A photo has more than {limits.max_photo_bytes:,} bytes, the limit for one.")


class _Form:
    """Gathers the parts of a multipart body. Its methods are what the parser calls, in the body's order."""

    def __init__(self, limits: UploadLimits) -> None:
        self.upload = Upload()
        self.ended = False
        self._limits = limits
        self._num_header_bytes = 0
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = b""
        self._name = ""
        self._filename: str | None = None
        self._content = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """By the parser's names for them."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_header_name,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_content,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._num_header_bytes = 0
        self._disposition = b""
        self._content = bytearray()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header[0].extend(data[start:end])

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header[1].extend(data[start:end])

    def _count_header(self, num_bytes: int) -> None:
        self._num_header_bytes += num_bytes
        if self._num_header_bytes > MAX_HEADER_BYTES:
            raise UnreadableRequest("A part of the multipart body has too long headers.")

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise UnreadableRequest("A part of the multipart body has no name.")
        self._name = options[b"name"].decode("utf-8", "replace")
        filename = options.get(b"filename")
        self._filename = None if filename is None else filename.decode("utf-8", "replace")[:255]
        if self._name in PHOTO_FIELDS:
            if len(self.upload.photos) == self._limits.max_photos:
                raise InvalidField.of("image", f"at most {self._limits.max_photos} photos in one request")
        elif filename is not None:
            raise InvalidField.of(
                self._name[:100], "photos go into the field 'image'; this one takes no file"
            )
        elif len(self.upload.fields) == MAX_FIELDS:
            raise InvalidField.of(self._name[:100], f"more than {MAX_FIELDS} form fields")

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        self._content += memoryview(data)[start:end]
        if self._name in PHOTO_FIELDS:
            _check_size(len(self._content), self._limits)
        elif len(self._content) > MAX_FIELD_BYTES:
            raise InvalidField.of(self._name[:100], f"longer than {MAX_FIELD_BYTES} bytes")

    def _end_part(self) -> None:
        content = bytes(self._content)
        self._content = bytearray()
        if self._name in PHOTO_FIELDS:
            self.upload.photos.append(SentPhoto(content, self._filename))
        else:
            self.upload.fields.append((self._name, content.decode("utf-8", "replace")))

    def _end(self) -> None:
        self.ended = True
