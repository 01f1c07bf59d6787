"""Real photographs through the decoding processes. They stay where they are: none is copied."""

import random
from pathlib import Path

import numpy as np
import pytest

from app.inference.decode import DecodePool
from models.preprocess import Preprocessing, preprocess
from tests.shared import shared

NUM_PHOTOS = 60


@pytest.fixture
def photos() -> list[Path]:
    """Some photographs of each folder of the shared data."""
    folders = [shared(f"data/{name}/images") for name in ("eu_moths", "lepidoptera_lt")]
    rng = random.Random(0)
    return [path for folder in folders for path in rng.sample(sorted(folder.rglob("*.jpg")), NUM_PHOTOS // 2)]


@pytest.mark.shared_data
async def test_real_photos_become_in_the_service_what_they_are_in_training(photos: list[Path]) -> None:
    wanted = Preprocessing(size_px=224)
    pool = DecodePool(num_workers=1, deadline_s=30.0)
    await pool.start()
    warned = 0
    for path in photos:
        data = path.read_bytes()
        decoded = await pool.decode(data, wanted)
        pixels, info = preprocess(data, wanted)
        assert np.array_equal(decoded.pixels, pixels), path.name
        assert decoded.info == info
        warned += bool(set(decoded.warnings) - {"small"})
    await pool.stop()
    assert warned <= 1, "curated photographs are neither dark nor blurred"
