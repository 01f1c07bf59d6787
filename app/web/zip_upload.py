"""One zip out of a request's body, onto the disk while it streams in. Never more than a piece in memory."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

from fastapi import Request
from python_multipart.multipart import parse_options_header

from app.errors import InvalidField, PhotoTooLarge, UnreadableRequest
from app.web.multipart import FormParts, body_chunks, check_field_size, read_form
from app.web.strict import refuse_unknown

TOKEN_FIELD = "form_token"
_ZIP_TYPES = (b"application/zip", b"application/x-zip-compressed", b"application/octet-stream")
_PIECE_BYTES = 1 << 20

CheckForm = Callable[[str], None]
"""Hears of the form's token before any of the file is kept; raises to refuse it."""


class ZipKind(NamedTuple):
    """What the zip is, in words for a person, and the form field that it comes in."""

    field: str
    name: str
    nothing_sent: str


async def receive_zip(
    request: Request, target: Path, kind: ZipKind, max_bytes: int, check_form: CheckForm | None = None
) -> None:
    """Write the zip of a request's body, raw or in a multipart form, to a new file.

    Raises UnreadableRequest, InvalidField, PhotoTooLarge, OSError, and what ``check_form`` raises.
    """
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    with target.open("xb") as file:
        sink = _Sink(file, kind, max_bytes)
        if media_type == b"multipart/form-data":
            form = _Form(sink, kind.field, check_form)
            await read_form(request, options, form, after_chunk=sink.write)
            if not form.num_files:
                form.check_token()
        elif media_type in _ZIP_TYPES and check_form is None:
            async for chunk in body_chunks(request):
                sink.add(chunk)
                await sink.write()
        else:
            raise UnreadableRequest(
                f"Send {kind.name} as application/zip, or as multipart/form-data in the field {kind.field!r}."
            )
        await sink.write(last=True)
    if not sink.num_bytes:
        raise InvalidField.of(kind.field, kind.nothing_sent)


class _Sink:
    """Gathers pieces and writes them in a thread."""

    def __init__(self, file: IO[bytes], kind: ZipKind, max_bytes: int) -> None:
        self._file, self._kind, self._max_bytes = file, kind, max_bytes
        self._waiting = bytearray()
        self.num_bytes = 0

    def add(self, piece: bytes | memoryview) -> None:
        """Keep a piece for the next ``write``. Raises PhotoTooLarge."""
        self.num_bytes += len(piece)
        if self.num_bytes > self._max_bytes:
            whole = self._kind.name[0].upper() + self._kind.name[1:]
            raise PhotoTooLarge(f"{whole} has more than {self._max_bytes:,} bytes, the most taken here.")
        self._waiting += piece

    async def write(self, *, last: bool = False) -> None:
        """Write what waits, once it is worth it."""
        if self._waiting and (last or len(self._waiting) >= _PIECE_BYTES):
            waiting, self._waiting = self._waiting, bytearray()
            await asyncio.to_thread(self._file.write, waiting)


class _Form(FormParts):
    """A form with one file, and before it the token where one is asked for."""

    def __init__(self, sink: _Sink, field: str, check_form: CheckForm | None) -> None:
        super().__init__()
        self.num_files = 0
        self._sink, self._field, self._check_form = sink, field, check_form
        self._known = (field,) if check_form is None else (field, TOKEN_FIELD)
        self._name = ""
        self._token = bytearray()

    def check_token(self) -> None:
        """Raises what the form's check raises."""
        if self._check_form is not None:
            self._check_form(self._token.decode("utf-8", "replace"))

    def begin(self, name: str, filename: str | None) -> None:
        """Raises InvalidField for another field or a second file, and what the form's check raises."""
        self._name = name[:100]
        refuse_unknown([self._name], self._known, "form field")
        if self._name == self._field:
            self.num_files += 1
            if self.num_files > 1:
                raise InvalidField.of(self._field, "one zip in one request")
            self.check_token()

    def add(self, content: memoryview) -> None:
        """Raises PhotoTooLarge, InvalidField."""
        if self._name == self._field:
            self._sink.add(content)
            return
        self._token += content
        check_field_size(self._name, len(self._token))
