"""Bodies as they stream in, in whatever pieces the network makes of them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import Request
from starlette.types import Message

from app.errors import AppError, InvalidField, PhotoTooLarge, UnreadableRequest
from app.web import multipart, uploads
from app.web.uploads import Upload, UploadLimits, read_upload

LIMITS = UploadLimits(max_photos=3, max_photo_bytes=1_000)
FORM = "multipart/form-data; boundary=moth"
PHOTO = bytes(range(256)) * 2 + b"\r\n--mot\r\n--moth"[:-1]


def form(*parts: tuple[str, bytes]) -> bytes:
    """A multipart body of (headers, content)."""
    body = b"".join(
        b"--moth\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n" for headers, content in parts
    )
    return body + b"--moth--\r\n"


def part(name: str, filename: str | None = None) -> str:
    suffix = "" if filename is None else f'; filename="{filename}"'
    return f'Content-Disposition: form-data; name="{name}"{suffix}\r\nContent-Type: image/jpeg'


def request_of(chunks: list[bytes], content_type: str) -> Request:
    messages = iter(chunks)

    async def receive() -> Message:
        try:
            return {"type": "http.request", "body": next(messages), "more_body": True}
        except StopIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"content-type", content_type.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def read(body: bytes, piece: int = 10_000, content_type: str = FORM) -> Upload:
    chunks = [body[start : start + piece] for start in range(0, len(body), piece)]
    return await read_upload(request_of(chunks, content_type), LIMITS, lambda _: None)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 10_000])
async def test_a_form_is_the_same_in_whatever_pieces_it_comes(piece: int) -> None:
    body = form((part("image", "a.jpg"), PHOTO), (part("top_k"), b"3"), (part("images", "b.jpg"), b"x"))
    upload = await read(body, piece)
    assert [(photo.data, photo.filename) for photo in upload.photos] == [(PHOTO, "a.jpg"), (b"x", "b.jpg")]
    assert upload.fields == [("top_k", "3")]


@pytest.mark.parametrize("piece", [1, 100, 10_000])
async def test_raw_bytes_are_one_photo(piece: int) -> None:
    upload = await read(PHOTO, piece, "image/jpeg")
    assert [photo.data for photo in upload.photos] == [PHOTO]


async def test_a_form_cut_at_any_place_is_refused_or_read_and_nothing_else() -> None:
    body = form((part("image", "a.jpg"), PHOTO[:40]), (part("top_k"), b"3"))
    for length in range(len(body) - 4):
        with pytest.raises(AppError):
            await read(body[:length])


async def test_a_filename_is_kept_as_a_name_and_never_used_as_a_path() -> None:
    upload = await read(form((part("image", "../../etc/passwd"), b"x")))
    assert upload.photos[0].filename == "../../etc/passwd"
    upload = await read(form((part("image", "moth" * 100), b"x")))
    assert len(upload.photos[0].filename or "") == 255


@pytest.mark.parametrize("content_type", [FORM, "image/png"])
async def test_a_photo_over_the_limit_is_refused_while_it_streams(content_type: str) -> None:
    seen = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal seen
        if content_type == FORM:
            yield b"--moth\r\n" + part("image", "a").encode() + b"\r\n\r\n"
        while True:
            seen += 100
            yield b"0" * 100

    source = endless()

    async def receive() -> Message:
        return {"type": "http.request", "body": await anext(source), "more_body": True}

    headers = [(b"content-type", content_type.encode())]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with pytest.raises(PhotoTooLarge, match="1,000 bytes"):
        await read_upload(request, LIMITS, lambda _: None)
    assert seen <= 1_200


async def test_every_chunk_is_reserved_before_it_is_kept() -> None:
    held: list[int] = []
    await read_upload(request_of([b"a" * 10, b"b" * 20], "image/png"), LIMITS, held.append)
    assert held == [10, 20, 0][: len(held)]
    assert sum(held) == 30


async def test_too_many_fields_are_refused() -> None:
    with pytest.raises(InvalidField, match="more than"):
        await read(form(*((part(f"field{index}"), b"") for index in range(uploads.MAX_FIELDS + 1))))


async def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "IDLE_S", 0.05)

    async def receive() -> Message:
        await asyncio.sleep(3600)
        raise AssertionError("nobody waits so long")

    headers = [(b"content-type", b"image/png")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with pytest.raises(UnreadableRequest, match="stopped coming"):
        await read_upload(request, LIMITS, lambda _: None)
