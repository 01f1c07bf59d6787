"""Date and position out of what cameras write, odd values read as absent."""

from datetime import datetime

import piexif
import pytest
from PIL import Image

from models.exif import PhotoMetadata
from models.preprocess import open_photo
from tests import drawn_photos

TAKEN = datetime(2024, 7, 1, 23, 5, 17)


def _read(data: bytes) -> PhotoMetadata:
    return open_photo(data, 16)[1].metadata


@pytest.mark.parametrize("photo_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
def test_date_and_position_are_read_in_every_format_that_has_them(photo_format: str) -> None:
    block = drawn_photos.exif(taken=TAKEN, position=(-33.8688, 151.2093))
    found = _read(drawn_photos.photo(photo_format, exif=block))
    assert found.event_date == TAKEN
    assert found.decimal_latitude == pytest.approx(-33.8688, abs=1e-5)
    assert found.decimal_longitude == pytest.approx(151.2093, abs=1e-5)


def test_a_photo_without_exif_says_nothing() -> None:
    assert _read(drawn_photos.photo()) == PhotoMetadata()


def test_half_a_position_is_none() -> None:
    block = Image.Exif()
    block.get_ifd(0x8825).update({1: "N", 2: (50.0, 30.0, 0.0)})
    assert _read(drawn_photos.photo(exif=block.tobytes())) == PhotoMetadata()


@pytest.mark.parametrize("degrees", [(91, 1), (-1, 1), (5, 0)])
def test_an_impossible_latitude_is_none(degrees: tuple[int, int]) -> None:
    gps = {
        piexif.GPSIFD.GPSLatitudeRef: b"N",
        piexif.GPSIFD.GPSLatitude: ((abs(degrees[0]), degrees[1]), (0, 1), (99, 0)),
        piexif.GPSIFD.GPSLongitudeRef: b"E",
        piexif.GPSIFD.GPSLongitude: ((8, 1), (0, 1), (0, 1)),
    }
    assert _read(drawn_photos.photo(exif=piexif.dump({"GPS": gps}))) == PhotoMetadata()


@pytest.mark.parametrize("taken", [b"    :  :     :  :  ", b"0000:00:00 00:00:00", b"yesterday", b"\xff\xfe"])
def test_a_date_that_is_none_reads_as_absent(taken: bytes) -> None:
    block = piexif.dump({"Exif": {piexif.ExifIFD.DateTimeOriginal: taken}})
    assert _read(drawn_photos.photo(exif=block)).event_date is None


def test_a_damaged_block_costs_the_facts_and_not_the_photo() -> None:
    block = drawn_photos.exif(taken=TAKEN, position=(1.0, 2.0))
    for position in range(6, len(block), 3):
        damaged = bytearray(block)
        damaged[position] ^= 0xFF
        _read(drawn_photos.photo(size=(32, 32), exif=bytes(damaged)))
