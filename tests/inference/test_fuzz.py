"""Three hundred damaged photos: each is decoded or refused, and the service's side stays whole."""

import random
from collections import Counter

from app.inference.decode import DecodePool
from models.preprocess import PHOTO_FORMATS, PhotoError, Preprocessing
from tests import drawn_photos

NUM_PHOTOS = 300


async def test_damaged_photos_of_every_format_end_in_an_answer_or_a_refusal() -> None:
    first_seed = random.randrange(1_000_000)
    print(f"seeds {first_seed} to {first_seed + NUM_PHOTOS - 1}")  # noqa: T201 (shown when the test fails)
    whole = [drawn_photos.photo(name, size=(120, 90)) for name in PHOTO_FORMATS]
    whole += [data for _, data in drawn_photos.odd_photos() if len(data) < 100_000]
    pool = DecodePool(num_workers=2, deadline_s=30.0)
    await pool.start()
    outcomes: Counter[str] = Counter()
    for seed in range(first_seed, first_seed + NUM_PHOTOS):
        data = drawn_photos.damaged(whole[seed % len(whole)], seed)
        try:
            decoded = await pool.decode(data, Preprocessing(size_px=48))
        except PhotoError as refusal:
            outcomes[type(refusal).__name__] += 1
        else:
            outcomes["decoded"] += decoded.pixels.shape == (48, 48, 3)
    assert outcomes.total() == NUM_PHOTOS
    assert outcomes["decoded"] > 0
    assert outcomes["UndecodablePhoto"] > 0
    assert (await pool.decode(drawn_photos.photo(), Preprocessing(size_px=48))).info.format == "JPEG"
    assert pool.counts.over_deadline == 0
    await pool.stop()
