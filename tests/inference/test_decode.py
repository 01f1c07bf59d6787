"""Decoding processes: the same pixels as in training, and one that dies costs one photo at most."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.inference.decode import DecodePool, DecoderStopped
from models.preprocess import (
    PHOTO_FORMATS,
    PhotoLimits,
    PhotoTooLarge,
    Preprocessing,
    UndecodablePhoto,
    UnsupportedPhotoFormat,
    preprocess,
)
from tests import drawn_photos

WANTED = Preprocessing(size_px=96)


@pytest.fixture
async def pool() -> AsyncIterator[DecodePool]:
    pool = DecodePool(num_workers=1, deadline_s=30.0)
    await pool.start()
    yield pool
    await pool.stop()


@pytest.fixture(scope="module")
def slow_photo() -> bytes:
    """Takes about a second to decode: time enough to kill its process."""
    noise = np.random.default_rng(0).integers(0, 4, (700, 700, 3), dtype=np.uint8)
    return drawn_photos.encode(Image.fromarray(np.tile(noise, (9, 9, 1))), "PNG", compress_level=1)


async def _until_working(pool: DecodePool) -> None:
    """Until a process is there and no photo waits for one."""
    await asyncio.sleep(0.05)
    while pool.num_waiting or not pool.process_ids:
        await asyncio.sleep(0.01)


async def test_pixels_are_those_of_training_byte_for_byte(pool: DecodePool) -> None:
    photos = [drawn_photos.photo(name, size=(500, 400)) for name in PHOTO_FORMATS]
    photos += [data for _, data in drawn_photos.odd_photos()]
    for wanted in (WANTED, Preprocessing(size_px=33, fit="pad")):
        for data in photos:
            pixels, info = preprocess(data, wanted)
            decoded = await pool.decode(data, wanted)
            assert np.array_equal(decoded.pixels, pixels)
            assert decoded.info == info


async def test_the_viewing_copy_is_an_upright_jpeg_without_metadata(pool: DecodePool) -> None:
    block = drawn_photos.exif(orientation=6, position=(50.0, 8.0))
    data = drawn_photos.encode(drawn_photos.draw_moth(), exif=block, comment=b"at my house")
    decoded = await pool.decode(data, WANTED)
    with Image.open(BytesIO(decoded.view_jpeg)) as view:
        assert view.format == "JPEG"
        assert view.height > view.width
        assert not view.getexif()
        assert not {"comment", "exif", "icc_profile"} & set(view.info)
    assert b"at my house" not in decoded.view_jpeg


async def test_the_viewing_copy_of_a_large_photo_is_at_most_1024_pixels(pool: DecodePool) -> None:
    decoded = await pool.decode(drawn_photos.photo("PNG", size=(2000, 1000)), WANTED)
    with Image.open(BytesIO(decoded.view_jpeg)) as view:
        assert view.size == (1024, 512)


async def test_a_file_hidden_behind_a_photo_is_not_in_the_viewing_copy(pool: DecodePool) -> None:
    data = drawn_photos.photo() + b"PK\x03\x04<script>"
    assert b"<script>" not in (await pool.decode(data, WANTED)).view_jpeg


async def test_warnings_come_with_the_photo(pool: DecodePool) -> None:
    assert (await pool.decode(drawn_photos.blurred_photo(), WANTED)).warnings == ("blurred",)


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"%PDF-1.7", UnsupportedPhotoFormat),
        (drawn_photos.bomb_png(), PhotoTooLarge),
        (drawn_photos.photo()[:900], UndecodablePhoto),
    ],
)
async def test_a_refusal_keeps_the_process(pool: DecodePool, data: bytes, refusal: type[Exception]) -> None:
    before = pool.process_ids
    with pytest.raises(refusal):
        await pool.decode(data, WANTED)
    await pool.decode(drawn_photos.photo(), WANTED)
    assert pool.process_ids == before
    assert (pool.counts.refused, pool.counts.decoded) == (1, 1)


async def test_the_limit_on_bytes_is_the_pools_own() -> None:
    pool = DecodePool(num_workers=1, limits=PhotoLimits(max_bytes=1000))
    with pytest.raises(PhotoTooLarge, match="the limit is 1,000"):
        await pool.decode(drawn_photos.photo(), WANTED)


async def test_a_killed_process_is_replaced_and_its_photo_tried_again(
    pool: DecodePool, slow_photo: bytes
) -> None:
    decoding = asyncio.create_task(pool.decode(slow_photo, WANTED))
    await _until_working(pool)
    os.kill(pool.process_ids[0], signal.SIGKILL)
    assert (await decoding).info.width_px == 6300
    assert (pool.counts.died, pool.counts.decoded) == (1, 1)


async def test_a_photo_that_ends_two_processes_is_refused_and_the_next_one_is_not(
    pool: DecodePool, slow_photo: bytes
) -> None:
    decoding = asyncio.create_task(pool.decode(slow_photo, WANTED))
    killed: list[int] = []
    for _ in range(2):
        await _until_working(pool)
        while pool.process_ids[:1] == killed or not pool.process_ids:  # its end has not been noticed yet
            await asyncio.sleep(0.01)
        killed = pool.process_ids[:1]
        os.kill(killed[0], signal.SIGSEGV)
    with pytest.raises(UndecodablePhoto, match="twice"):
        await decoding
    assert (await pool.decode(drawn_photos.photo(), WANTED)).info.format == "JPEG"
    assert pool.counts.died == 2


async def test_processes_killed_while_idle_cost_no_photo(pool: DecodePool) -> None:
    for process_id in pool.process_ids:
        os.kill(process_id, signal.SIGKILL)
    assert (await pool.decode(drawn_photos.photo(), WANTED)).info.format == "JPEG"


async def test_a_photo_over_its_deadline_is_refused_and_its_process_killed() -> None:
    pool = DecodePool(num_workers=1, deadline_s=0.3)
    await pool.start()
    stuck = pool.process_ids[0]
    os.kill(stuck, signal.SIGSTOP)
    with pytest.raises(UndecodablePhoto, match=r"longer than the 0\.3 seconds"):
        await pool.decode(drawn_photos.photo(), WANTED)
    assert not Path(f"/proc/{stuck}").exists()
    pool.deadline_s = 30.0
    assert (await pool.decode(drawn_photos.photo(), WANTED)).info.format == "JPEG"
    assert pool.counts.over_deadline == 1
    await pool.stop()


async def test_a_cancelled_photo_never_answers_for_the_next_one(pool: DecodePool, slow_photo: bytes) -> None:
    decoding = asyncio.create_task(pool.decode(slow_photo, WANTED))
    await _until_working(pool)
    decoding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await decoding
    assert (await pool.decode(drawn_photos.photo(), WANTED)).info.width_px == 320


async def test_a_photo_that_waits_while_others_fail_is_decoded(pool: DecodePool, slow_photo: bytes) -> None:
    decoding = asyncio.create_task(pool.decode(slow_photo, WANTED))
    waiting = [asyncio.create_task(pool.decode(drawn_photos.photo(), WANTED)) for _ in range(5)]
    await asyncio.sleep(0.05)
    os.kill(pool.process_ids[0], signal.SIGKILL)
    found = await asyncio.gather(decoding, *waiting)
    assert [photo.info.format for photo in found] == ["PNG"] + ["JPEG"] * 5


async def test_memory_is_limited_and_its_end_is_a_sentence() -> None:
    pool = DecodePool(num_workers=1, max_memory_bytes=260_000_000)
    await pool.start()
    with pytest.raises(UndecodablePhoto, match="more memory than is given"):
        await pool.decode(drawn_photos.encode(Image.new("RGBA", (6000, 6000)), "PNG"), WANTED)
    assert (await pool.decode(drawn_photos.photo(), WANTED)).info.format == "JPEG"
    await pool.stop()


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "LA"])
async def test_fifty_megapixels_of_any_kind_fit_into_the_memory_of_a_process(
    pool: DecodePool, mode: str
) -> None:
    data = drawn_photos.encode(Image.new(mode, (7071, 7071)), "PNG", compress_level=1)
    assert (await pool.decode(data, WANTED)).info.height_px == 7071


async def test_a_stopped_pool_says_so_to_those_who_wait(slow_photo: bytes) -> None:
    pool = DecodePool(num_workers=1)
    await pool.start()
    decoding = [asyncio.create_task(pool.decode(slow_photo, WANTED)) for _ in range(3)]
    await asyncio.sleep(0.05)
    await pool.stop()
    outcomes = await asyncio.gather(*decoding, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DecoderStopped] * 3
    assert pool.process_ids == []


async def test_processes_get_no_secret_of_the_service(
    monkeypatch: pytest.MonkeyPatch, pool: DecodePool
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://moth:secret@db/lighttrap")
    other = DecodePool(num_workers=1)
    await other.start()
    environment = Path(f"/proc/{other.process_ids[0]}/environ").read_bytes()
    await other.stop()
    assert b"secret" not in environment
