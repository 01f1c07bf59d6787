"""Damaged photos are decoded or refused; nothing else is ever raised."""

import random

import numpy as np
import pytest

from models.preprocess import PHOTO_FORMATS, PhotoError, Preprocessing, preprocess
from tests import drawn_photos

WANTED = Preprocessing(size_px=32)
NUM_EACH = 45


def _outcome(data: bytes) -> str:
    try:
        pixels, _ = preprocess(data, WANTED)
    except PhotoError as refusal:
        return str(refusal)
    return "decoded" if pixels.shape == (32, 32, 3) else "misshapen"


@pytest.mark.parametrize("photo_format", PHOTO_FORMATS)
def test_cut_and_flipped_photos_never_raise_anything_but_a_refusal(photo_format: str) -> None:
    first_seed = random.randrange(1_000_000)
    print(f"seeds {first_seed} to {first_seed + NUM_EACH - 1}")  # noqa: T201 (shown when the test fails)
    whole = drawn_photos.photo(photo_format, size=(96, 72))
    for seed in range(first_seed, first_seed + NUM_EACH):
        outcome = _outcome(drawn_photos.damaged(whole, seed))
        assert outcome == "decoded" or outcome.endswith("."), seed


@pytest.mark.parametrize("photo_format", PHOTO_FORMATS)
def test_a_signature_alone_is_refused(photo_format: str) -> None:
    with pytest.raises(PhotoError):
        preprocess(drawn_photos.photo(photo_format)[:16], WANTED)


def test_random_bytes_behind_a_signature_are_refused() -> None:
    noise = np.random.default_rng(3).bytes(5000)
    with pytest.raises(PhotoError):
        preprocess(b"\xff\xd8\xff" + noise, WANTED)
