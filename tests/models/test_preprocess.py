"""Every kind of photo becomes the same uint8 square, however it was encoded."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from models.preprocess import (
    PHOTO_FORMATS,
    PhotoLimits,
    PhotoTooLarge,
    Preprocessing,
    UndecodablePhoto,
    UnsupportedPhotoFormat,
    canvas,
    fit,
    open_photo,
    preprocess,
    sniff,
)
from tests import drawn_photos

SIZE_PX = 64
WANTED = Preprocessing(size_px=SIZE_PX)
ODD = dict(drawn_photos.odd_photos())


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


@pytest.mark.parametrize("photo_format", PHOTO_FORMATS)
def test_each_accepted_format_gives_the_same_moth(photo_format: str) -> None:
    expected = fit(drawn_photos.draw_moth(), WANTED)
    data = drawn_photos.photo(photo_format)
    pixels, info = preprocess(data, WANTED)
    assert pixels.shape == (SIZE_PX, SIZE_PX, 3)
    assert pixels.dtype == np.uint8
    assert (info.format, info.width_px, info.height_px) == (photo_format, 320, 240)
    assert _difference(pixels, expected) < 4


@pytest.mark.parametrize("name", ODD)
def test_an_unusual_photo_is_decoded(name: str) -> None:
    pixels, _ = preprocess(ODD[name], WANTED)
    assert pixels.shape == (SIZE_PX, SIZE_PX, 3)


@pytest.mark.parametrize(
    "name", ["CMYK JPEG", "CMYK TIFF", "palette PNG", "lossless WebP", "progressive JPEG", "compressed TIFF"]
)
def test_another_encoding_of_the_same_moth_looks_the_same(name: str) -> None:
    expected = fit(drawn_photos.draw_moth(3), WANTED)
    assert _difference(preprocess(ODD[name], WANTED)[0], expected) < 6


@pytest.mark.parametrize("name", ["16-bit grey PNG", "16-bit grey TIFF", "32-bit float TIFF", "grey JPEG"])
def test_a_grey_photo_of_any_depth_keeps_its_brightness(name: str) -> None:
    expected = fit(drawn_photos.draw_moth(3).convert("L").convert("RGB"), WANTED)
    assert _difference(preprocess(ODD[name], WANTED)[0], expected) < 4


@pytest.mark.parametrize("name", ["animated GIF", "animated WebP", "animated PNG", "TIFF of several pages"])
def test_the_first_frame_of_an_animation_is_taken(name: str) -> None:
    expected = fit(drawn_photos.draw_moth(3), WANTED)
    assert _difference(preprocess(ODD[name], WANTED)[0], expected) < 8


def test_what_is_transparent_becomes_white() -> None:
    clear = Image.new("RGBA", (80, 80), (200, 0, 0, 0))
    clear.paste((0, 0, 200, 255), (0, 0, 40, 80))
    pixels, _ = preprocess(drawn_photos.encode(clear, "PNG"), WANTED)
    assert pixels[32, 60].tolist() == [255, 255, 255]
    assert pixels[32, 10].tolist() == [0, 0, 200]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(orientation: int) -> None:
    upright, turned = drawn_photos.upright_and_turned(orientation)
    expected, expected_info = preprocess(upright, WANTED)
    pixels, info = preprocess(turned, WANTED)
    assert np.array_equal(pixels, expected)
    assert (info.width_px, info.height_px) == (expected_info.width_px, expected_info.height_px)
    assert info.orientation_applied is (orientation > 1)


@pytest.mark.parametrize("photo_format", ["JPEG", "WEBP", "TIFF", "HEIF"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_the_orientation_is_applied_once_in_every_format(photo_format: str, orientation: int) -> None:
    block = drawn_photos.exif(orientation=orientation)
    stored = drawn_photos.draw_moth(2)
    upright = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270}[orientation]
    expected = stored.transpose(upright)
    pixels, info = preprocess(drawn_photos.encode(stored, photo_format, exif=block), WANTED)
    assert (info.width_px, info.height_px) == expected.size
    assert info.orientation_applied
    assert _difference(pixels, fit(expected, WANTED)) < 6


def test_the_format_is_what_the_first_bytes_say() -> None:
    assert sniff(drawn_photos.photo("WEBP")) == "WEBP"
    assert sniff(drawn_photos.photo("HEIF")) == "HEIF"


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF", b"%PDF-1.7 moth.jpg", b"RIFF\x00\x00\x00\x00WAVE", b"<svg xmlns='...'/>", b"\x00" * 64],
)
def test_what_is_no_photo_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(UnsupportedPhotoFormat, match="JPEG, PNG, WebP, HEIC/HEIF, TIFF, BMP and GIF"):
        preprocess(data, WANTED)


def test_a_bomb_is_refused_before_a_pixel_is_decoded() -> None:
    with pytest.raises(PhotoTooLarge, match=r"2500\.0 megapixels; the limit is 50\.0"):
        preprocess(drawn_photos.bomb_png(), WANTED)


def test_too_many_bytes_are_refused_with_the_limit() -> None:
    with pytest.raises(PhotoTooLarge, match="the limit is 1,000"):
        preprocess(drawn_photos.photo(), WANTED, PhotoLimits(max_bytes=1000))


def test_too_many_pixels_are_refused_with_the_limit() -> None:
    with pytest.raises(PhotoTooLarge, match=r"limit is 0\.0"):
        preprocess(drawn_photos.photo(), WANTED, PhotoLimits(max_pixels=1000))


def test_a_photo_that_is_cut_off_cannot_be_decoded() -> None:
    data = drawn_photos.photo("PNG")
    with pytest.raises(UndecodablePhoto, match="begins like PNG"):
        preprocess(data[: len(data) // 2], WANTED)


def test_padding_keeps_the_whole_photo() -> None:
    wide = drawn_photos.encode(Image.new("RGB", (200, 100), (10, 200, 30)), "PNG")
    pixels, _ = preprocess(wide, Preprocessing(size_px=SIZE_PX, fit="pad"))
    assert pixels[0, 0].tolist() == [128, 128, 128]
    assert pixels[SIZE_PX // 2, 0].tolist() == [10, 200, 30]


def test_the_middle_of_the_canvas_is_the_model_input() -> None:
    data = drawn_photos.photo("PNG", size=(300, 200))
    whole, _ = canvas(data, SIZE_PX)
    pixels, _ = preprocess(data, WANTED)
    assert whole.shape == (SIZE_PX, 96, 3)
    assert _difference(whole[:, 16:80], pixels) < 1


def test_a_reduced_decoding_looks_like_the_full_one() -> None:
    """55 dB was measured on real trap photos; the noise of a drawn sheet is harder."""
    moth = drawn_photos.draw_moth(1, size=(1600, 1200))
    data = drawn_photos.encode(moth, quality=95)
    reduced, _ = open_photo(data, SIZE_PX)
    with Image.open(BytesIO(data)) as image:
        full = ImageOps.fit(image.convert("RGB"), (SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
    assert min(reduced.size) < 1200
    assert min(reduced.size) >= SIZE_PX
    assert _difference(fit(reduced, WANTED), np.asarray(full)) < 1.5


def test_the_same_bytes_give_the_same_pixels() -> None:
    data = drawn_photos.photo(seed=5)
    assert np.array_equal(preprocess(data, WANTED)[0], preprocess(data, WANTED)[0])
