from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.drawn_photos import draw_moth
from training.config import Augment, RunConfig
from training.data.cache import PhotoCache
from training.data.dataset import TrainingViews
from training.data.resident_crops import ResidentCrops, crops_fit
from training.recipes import make_recipe

CPU = torch.device("cpu")
SIZES = ((90, 60), (60, 60), (64, 180), (200, 150))


def cache_of(photos: Sequence[NDArray[np.uint8]]) -> PhotoCache:
    shapes = np.array([photo.shape[:2] for photo in photos], dtype=np.int64)
    return PhotoCache(np.concatenate([photo.reshape(-1) for photo in photos]), shapes)


def drawn_cache() -> PhotoCache:
    return cache_of([np.asarray(draw_moth(n, seed=n, size=size)) for n, size in enumerate(SIZES)])


def settings(**augment: object) -> RunConfig:
    return make_recipe("baseline").with_(size_px=48, augment=Augment(scale_min=0.2, **augment))


@pytest.mark.parametrize("epoch", range(3))
def test_views_made_on_the_device_are_those_that_loading_makes_but_for_rounding(epoch: int) -> None:
    cache, places, config = drawn_cache(), (3, 0, 2, 1), settings()
    one_by_one = TrainingViews(cache, places, [0, 1, 2, 3], config)
    resident = ResidentCrops(cache, places, [0, 1, 2, 3], config, CPU)
    one_by_one.epoch = resident.epoch = epoch
    draws = [0, 1, 2, 3, 7, 6, 9]  # the last three are second and third views
    views, classes = next(iter(resident.batches([draws])))
    assert classes.tolist() == [0, 1, 2, 3, 3, 2, 1]
    for view, draw in zip(views, draws, strict=True):
        apart = (view.int() - one_by_one[draw][0].int()).abs()
        assert int(apart.max()) <= 1
        assert float((apart > 0).float().mean()) < 0.02


def test_a_small_photo_beside_a_large_one_ends_at_its_own_border() -> None:
    white, grey = (
        np.full((*size, 3), level, dtype=np.uint8) for size, level in (((50, 50), 255), ((120, 90), 90))
    )
    config = settings(rotate_deg=45.0, brightness=0, contrast=0, saturation=0)
    resident = ResidentCrops(cache_of([white, grey]), (0, 1), [0, 1], config, CPU)
    views, _ = next(iter(resident.batches([[0, 1, 2, 3, 4]])))
    for view, draw in zip(views, [0, 1, 2, 3, 4], strict=True):
        assert set(view.unique().tolist()) == {255 if draw % 2 == 0 else 90}


def test_a_processor_makes_views_one_by_one() -> None:
    assert not crops_fit(drawn_cache(), (0, 1), settings(), CPU)
