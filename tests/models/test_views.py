"""A photo and its mirror image: one reading of both, the same in evaluation and in the service."""

import numpy as np
import pytest

from models.decision import combine_photos, probabilities
from models.views import over_views, with_views

IMAGES = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)
LOGITS = np.random.default_rng(0).normal(size=(6, 5))


def test_one_view_is_the_photo_as_it_is() -> None:
    assert with_views(IMAGES, "one") is IMAGES
    assert over_views(LOGITS, "one") is LOGITS


def test_a_mirror_image_swaps_left_and_right_and_nothing_else() -> None:
    seen = with_views(IMAGES, "mirrored")
    assert seen.dtype == np.uint8
    np.testing.assert_array_equal(seen[:2], IMAGES)
    np.testing.assert_array_equal(seen[2:, :, ::-1], IMAGES)


def test_the_mean_of_logits_is_the_mean_of_log_probabilities() -> None:
    found = probabilities(over_views(LOGITS, "mirrored"))
    each = probabilities(LOGITS)
    for photo in range(3):
        np.testing.assert_allclose(found[photo], combine_photos(each[[photo, photo + 3]]), atol=1e-12)


def test_a_view_without_its_mirror_image_is_refused() -> None:
    with pytest.raises(ValueError, match="5 views"):
        over_views(LOGITS[:5], "mirrored")
