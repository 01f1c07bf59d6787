"""Warnings on drawn photos: each appears where it should, and an ordinary photo has none."""

import pytest

from models.photo_quality import BLURRED_BELOW, DARK_BELOW, brightness, photo_warnings, sharpness
from models.preprocess import Preprocessing, preprocess
from tests import drawn_photos


def _warnings(data: bytes, size_px: int = 128) -> tuple[str, ...]:
    pixels, info = preprocess(data, Preprocessing(size_px=size_px))
    return photo_warnings(pixels, width_px=info.width_px, height_px=info.height_px)


@pytest.mark.parametrize("kind", range(7))
def test_an_ordinary_photo_has_no_warning(kind: int) -> None:
    assert _warnings(drawn_photos.photo(kind=kind)) == ()


def test_a_photo_below_the_models_input_is_small() -> None:
    assert _warnings(drawn_photos.photo(size=(160, 120))) == ("small",)
    assert _warnings(drawn_photos.photo(size=(160, 128))) == ()


def test_a_photo_without_light_is_dark_and_not_called_blurred() -> None:
    assert _warnings(drawn_photos.dark_photo()) == ("dark",)


def test_a_photo_out_of_focus_is_blurred() -> None:
    assert _warnings(drawn_photos.blurred_photo()) == ("blurred",)


def test_the_thresholds_leave_room_on_both_sides() -> None:
    sharp, _ = preprocess(drawn_photos.photo(kind=1), Preprocessing(size_px=128))
    blurred, _ = preprocess(drawn_photos.blurred_photo(), Preprocessing(size_px=128))
    dark, _ = preprocess(drawn_photos.dark_photo(), Preprocessing(size_px=128))
    assert sharpness(sharp) > 2 * BLURRED_BELOW
    assert sharpness(blurred) < BLURRED_BELOW
    assert brightness(sharp) > 2 * DARK_BELOW
    assert brightness(dark) < DARK_BELOW / 2
