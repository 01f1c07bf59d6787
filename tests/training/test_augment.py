import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.v2 import functional as reference

from tests.drawn_photos import draw_moth
from training.config import Augment
from training.data.augment import View, change_colour, draw_view, make_augmentation, resample

OFF = Augment(scale_min=1.0, ratio=1.0, flip=False, rotate_deg=0, brightness=0, contrast=0, saturation=0)


def photo(width: int = 40, height: int = 40) -> NDArray[np.uint8]:
    return np.asarray(draw_moth(size=(width, height)), dtype=np.uint8)


def whole(height: int, width: int, *, angle: float = 0.0, mirrored: bool = False) -> View:
    return View((0.0, 0.0), (width, height), angle, mirrored, (1.0, 1.0, 1.0))


def test_augmentation_switched_off_leaves_the_photo() -> None:
    view = make_augmentation(OFF, 40)(photo(), np.random.default_rng(0))
    assert view.equal(torch.tensor(photo()).permute(2, 0, 1))


def test_a_mirrored_view_is_the_photo_mirrored_and_a_quarter_turn_the_photo_turned() -> None:
    image = torch.tensor(photo())
    flat = image.permute(2, 0, 1).float()
    torch.testing.assert_close(
        resample(image, whole(40, 40, mirrored=True), 40), flat.flip(2), atol=0.02, rtol=0
    )
    torch.testing.assert_close(
        resample(image, whole(40, 40, angle=np.pi / 2), 40), flat.rot90(1, (1, 2)), atol=0.05, rtol=0
    )


def test_a_crop_shows_the_part_of_the_photo_that_its_numbers_name() -> None:
    image = torch.tensor(photo(60, 40))
    view = View((10.0, -5.0), (20.0, 20.0), 0.0, False, (1.0, 1.0, 1.0))
    expected = image.permute(2, 0, 1)[:, 5:25, 30:50].float()
    torch.testing.assert_close(resample(image, view, 20), expected, atol=0.02, rtol=0)


def test_outside_the_photo_its_border_goes_on() -> None:
    sheet = np.asarray(Image.new("RGB", (64, 48), (200, 190, 180)), dtype=np.uint8)
    augment = make_augmentation(OFF.model_copy(update={"rotate_deg": 45.0}), 64)
    for seed in range(5):
        view = augment(sheet, np.random.default_rng(seed))
        assert int((view.int() - torch.tensor([200, 190, 180]).view(3, 1, 1)).abs().max()) <= 1


def test_a_photo_that_shrinks_is_averaged_and_not_sampled_here_and_there() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    view = make_augmentation(OFF, 16)(stripes, np.random.default_rng(0))
    assert int((view.int() - 100).abs().max()) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_a_crop_keeps_to_its_photo_its_share_of_the_area_and_its_aspect_ratio(seed: int) -> None:
    settings, rng = Augment(scale_min=0.3, ratio=1.5), np.random.default_rng(seed)
    for height, width in ((40, 40), (40, 90), (300, 40)):
        for _ in range(50):
            view = draw_view(settings, height, width, rng)
            (x, y), (crop_width, crop_height) = view.centre, view.size
            assert abs(x) + crop_width / 2 <= width / 2 + 1e-9
            assert abs(y) + crop_height / 2 <= height / 2 + 1e-9
            assert 1 / 1.5 - 1e-9 <= crop_width / crop_height <= 1.5 + 1e-9
            fits = min(width / height, height / width) >= 1 / 1.5
            assert not fits or crop_width * crop_height >= 0.3 * height * width - 1e-6


@pytest.mark.parametrize("factors", [(1.3, 1.0, 1.0), (1.0, 0.7, 1.0), (1.0, 1.0, 1.2), (0.8, 1.3, 0.8)])
def test_colour_is_torchvisions_in_one_pass(factors: tuple[float, float, float]) -> None:
    image = torch.tensor(photo()).permute(2, 0, 1).double() / 2 + 40  # nothing is clamped on the way
    brightness, contrast, saturation = factors
    expected = reference.adjust_brightness(image / 255, brightness)
    expected = reference.adjust_contrast(expected, contrast)
    expected = reference.adjust_saturation(expected, saturation) * 255
    found = change_colour(image.clone(), *factors)
    torch.testing.assert_close(
        found, expected, atol=0.15, rtol=0
    )  # torchvision weighs grey 0.2989, 0.587, 0.114


@pytest.mark.parametrize("policy", ["none", "randaugment", "trivialaugment"])
def test_a_view_is_drawn_from_the_callers_generator_alone(policy: str) -> None:
    augment = make_augmentation(Augment.model_validate({"policy": policy}), 16)

    def view(seed: int) -> torch.Tensor:
        torch.rand(1)
        return augment(photo(30, 24), np.random.default_rng(seed))

    assert view(0).equal(view(0))
    assert not view(0).equal(view(1))
    assert view(0).shape == (3, 16, 16)
    assert view(0).dtype == torch.uint8


@pytest.mark.parametrize("policy", ["none", "randaugment"])
def test_a_view_is_the_same_at_any_number_of_threads(policy: str) -> None:
    """A loading process has one thread, the training process as many as there are cores."""
    augment = make_augmentation(Augment.model_validate({"policy": policy}), 288)
    noise = np.random.default_rng(0).integers(0, 256, (331, 374, 3), dtype=np.uint8)
    before, views = torch.get_num_threads(), []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        views.append([augment(noise, np.random.default_rng(seed)) for seed in range(24)])
    torch.set_num_threads(before)
    alone, two, four = views
    assert all(a.equal(b) and a.equal(c) for a, b, c in zip(alone, two, four, strict=True))
