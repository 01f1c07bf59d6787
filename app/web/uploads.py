"""Photos and form fields out of a request's body, while it streams in. Knows no model and no answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.multipart import parse_options_header

from app.errors import InvalidField, PhotoTooLarge, UnreadableRequest, UnsupportedPhoto
from app.web.multipart import FormParts, Reserve, body_chunks, check_field_size, read_form

PHOTO_FIELDS = ("image", "images")
MAX_FIELDS = 32


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
        return await _read_form(request, options, limits, reserve)
    if media_type.startswith(b"image/") or media_type == b"application/octet-stream":
        return Upload(photos=[SentPhoto(await _read_photo(request, limits, reserve), None)])
    raise UnsupportedPhoto(
        "Send photos as multipart/form-data in the field 'image', or the bytes of one with its image/* type."
    )


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


async def _read_form(
    request: Request, options: Mapping[bytes, bytes], limits: UploadLimits, reserve: Reserve
) -> Upload:
    form = _Form(limits)
    await read_form(request, options, form, reserve=reserve)
    return form.upload


def _check_size(num_bytes: int, limits: UploadLimits) -> None:
    if num_bytes > limits.max_photo_bytes:
        raise PhotoTooLarge(f"A photo has more than {limits.max_photo_bytes:,} bytes, the limit for one.")


class _Form(FormParts):
    """Gathers photos and fields."""

    def __init__(self, limits: UploadLimits) -> None:
        super().__init__()
        self.upload = Upload()
        self._limits = limits
        self._name = ""
        self._filename: str | None = None
        self._content = bytearray()

    def begin(self, name: str, filename: str | None) -> None:
        """Raises InvalidField for too many photos or fields, and for a file in another field."""
        self._name, self._filename, self._content = name, filename, bytearray()
        if name in PHOTO_FIELDS:
            if len(self.upload.photos) == self._limits.max_photos:
                raise InvalidField.of("image", f"at most {self._limits.max_photos} photos in one request")
        elif filename is not None:
            raise InvalidField.of(name[:100], "photos go into the field 'image'; this one takes no file")
        elif len(self.upload.fields) == MAX_FIELDS:
            raise InvalidField.of(name[:100], f"more than {MAX_FIELDS} form fields")

    def add(self, content: memoryview) -> None:
        """Raises PhotoTooLarge, InvalidField."""
        self._content += content
        if self._name in PHOTO_FIELDS:
            _check_size(len(self._content), self._limits)
        else:
            check_field_size(self._name, len(self._content))

    def end(self) -> None:
        """Keep it."""
        content = bytes(self._content)
        self._content = bytearray()
        if self._name in PHOTO_FIELDS:
            self.upload.photos.append(SentPhoto(content, self._filename))
        else:
            self.upload.fields.append((self._name, content.decode("utf-8", "replace")))
