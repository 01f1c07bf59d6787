"""The heat is where the features agree with the embedding, and the picture shows it."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from app.inference.heatmap import heatmap_base64
from models.heatmap import heat

IMAGE = np.full((64, 64, 3), 120, np.uint8)


def test_heat_is_highest_where_the_features_point_along_the_embedding() -> None:
    features = np.zeros((4, 5, 5), np.float32)
    features[2, 1, 3] = 3.0
    features[0, 4, 4] = 9.0  # loud, but not what the embedding is about
    found = heat(features, np.array([0.0, 0.0, 1.0, 0.0], np.float32))
    assert found.argmax() == 1 * 5 + 3
    assert (found.min(), found.max()) == (0.0, 1.0)
    assert found[4, 4] == 0.0


def test_features_without_any_agreement_are_cold_everywhere() -> None:
    found = heat(-np.ones((3, 2, 2), np.float32), np.ones(3, np.float32))
    assert not found.any()


def test_the_picture_is_a_png_of_the_models_view_and_brighter_where_it_is_hot() -> None:
    features = np.zeros((2, 4, 4), np.float32)
    features[0, 0, 0] = 1.0
    png = base64.b64decode(heatmap_base64(IMAGE, features, np.array([1.0, 0.0], np.float32)))
    with Image.open(BytesIO(png)) as picture:
        assert picture.format == "PNG"
        assert picture.size == (64, 64)
        pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
    assert pixels[6, 6].mean() > pixels[56, 56].mean() + 30
