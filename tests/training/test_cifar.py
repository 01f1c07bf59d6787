import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from tests.drawn_photos import draw_moth
from training.backbones import make_backbone
from training.classifier import make_classifier
from training.data.cache import PhotoCache
from training.data.cifar_lt import encode_again, split_cifar, unpack_cifar
from training.data.resident import ResidentViews
from training.protocols import PROTOCOLS, apply_protocol
from training.recipes import RECIPES, make_recipe
from training.schedule import lr_factor, make_optimiser

NAMES = [f"train/{i}_c{i}/{k:04d}.jpg" for i in range(10) for k in range(int(5000 * 10 ** (-i / 9) + 1e-9))]


@pytest.mark.parametrize(("factor", "total"), [(10, 20431), (50, 13996), (100, 12406)])
def test_the_sets_of_cifar_have_the_published_totals_but_for_what_validation_needs(
    factor: float, total: int
) -> None:
    rows = split_cifar(NAMES, factor, 20)
    training = [row for row in rows if row[2] == "train"]
    short = 20 * (10 if factor == 10 else 1)  # of factor 10 nothing is left over
    assert len(training) == total - short
    assert len([row for row in rows if row[2] == "val"]) == 200
    assert len({path for path, _, _ in rows}) == len(rows)


def test_a_longer_tail_of_cifar_is_a_subset_of_a_shorter_one() -> None:
    def training(factor: float) -> set[str]:
        return {
            path
            for path, label, split in split_cifar(NAMES, factor, 20)
            if split == "train" and label != "0_c0"
        }

    assert training(100) < training(50)


def test_an_archive_is_unpacked_and_anything_else_refused(tmp_path: Path) -> None:
    draw_moth(size=(32, 32)).save(tmp_path / "moth.jpg")
    with zipfile.ZipFile(tmp_path / "cifar.zip", "w") as archive:
        for i, count in enumerate((6, 4)):
            for k in range(count):
                archive.write(tmp_path / "moth.jpg", f"train/{i}_c{i}/{k}.jpg")
            archive.write(tmp_path / "moth.jpg", f"test/{i}_c{i}/0.jpg")
    written = unpack_cifar(tmp_path / "cifar.zip", tmp_path / "out", 3, 1)
    lines = written.read_text().splitlines()
    assert [line.split(",")[2] for line in lines[1:]] == ["train"] * 5 + ["val"] + ["train"] * 2 + ["val"] + [
        "test"
    ] * 2
    assert all((tmp_path / "out" / line.split(",")[0]).is_file() for line in lines[1:])
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(ValueError, match="not a zip archive"):
        unpack_cifar(tmp_path / "text.zip", tmp_path / "out", 3, 1)


def test_a_photo_that_is_encoded_again_keeps_its_place_and_loses_more_at_a_lower_quality() -> None:
    photo = draw_moth(size=(32, 32))
    pixels = np.asarray(photo, dtype=float)

    def lost(quality: int) -> float:
        again = encode_again(photo, quality)
        assert again.size == photo.size
        return float(((np.asarray(again, dtype=float) - pixels) ** 2).mean())

    assert 0 < lost(95) < lost(75) < lost(30)
    across = np.asarray(encode_again(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 75), dtype=float)
    assert lost(75) < ((across - pixels) ** 2).mean()  # nothing was shifted or mirrored on the way


def test_an_archive_can_be_unpacked_with_one_more_loss(tmp_path: Path) -> None:
    draw_moth(size=(32, 32)).save(tmp_path / "moth.jpg")
    with zipfile.ZipFile(tmp_path / "cifar.zip", "w") as archive:
        names = [f"train/{i}_c{i}/{k}" for i in range(2) for k in range(2)]
        for name in (*names, "test/0_c0/0"):
            archive.write(tmp_path / "moth.jpg", f"{name}.jpg")
    written = unpack_cifar(tmp_path / "cifar.zip", tmp_path / "out", 1, 1, again_quality=50)
    paths = [line.split(",")[0] for line in written.read_text().splitlines()[1:]]
    assert paths == [f"photos/{name}.png" for name in (*names, "test/0_c0/0")]
    with Image.open(tmp_path / "moth.jpg") as first, Image.open(tmp_path / "out" / paths[0]) as kept:
        assert np.array_equal(np.asarray(kept), np.asarray(encode_again(first, 50)))


def test_resnet_32_has_32_layers_with_weights_and_the_papers_size() -> None:
    backbone = make_backbone("resnet32_cifar", "none", 32)
    layers = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    assert len(layers) + 1 == 32  # and the classifier
    assert (
        sum(p.numel() for p in backbone.parameters()) + 64 * 10 + 10 == 464154
    )  # He et al. (2016), table 6: 0.46 M
    assert backbone(torch.zeros(2, 3, 32, 32)).shape == (2, 64, 8, 8)
    with pytest.raises(ValueError, match="no pretrained weights"):
        make_backbone("resnet32_cifar", "timm", 32)


NOT_UNDER_CIFAR = {
    "linear_probe": "pretrained weights: --protocol cifar has none",
    "randaugment": "pad_crop shifts and mirrors photos, no more",
    "trivialaugment": "pad_crop shifts and mirrors photos, no more",
}


@pytest.mark.parametrize(
    "recipe", [name for name in RECIPES if not name.startswith("transfer") and name not in NOT_UNDER_CIFAR]
)
def test_every_recipe_that_is_not_one_of_views_or_of_pretrained_weights_can_be_run_under_every_protocol(
    recipe: str,
) -> None:
    for protocol in PROTOCOLS:
        config = apply_protocol(make_recipe(recipe), protocol)
        assert config.recipe == recipe
        assert config.loss.name == make_recipe(recipe).loss.name
        assert make_classifier(config, 10)


@pytest.mark.parametrize(("recipe", "reason"), NOT_UNDER_CIFAR.items())
def test_a_recipe_that_would_be_itself_by_name_alone_is_refused_under_cifar(recipe: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        apply_protocol(make_recipe(recipe), "cifar")


def test_losses_are_not_smoothed_under_cifar_as_in_their_papers() -> None:
    for recipe in ("cross_entropy", "baseline", "logit_adjusted"):
        loss = make_recipe(recipe).with_(loss={"label_smoothing": 0.1}).loss
        bare = apply_protocol(make_recipe(recipe).with_(loss=loss), "cifar").loss
        assert bare == loss.model_copy(update={"label_smoothing": 0.0})


def test_the_cifar_protocol_is_that_of_ldam() -> None:
    settings = apply_protocol(make_recipe("ldam"), "cifar").optimisation
    rates = [round(0.1 * lr_factor(epoch, settings), 7) for epoch in (1, 5, 100, 159.5, 160.5, 180.5, 200)]
    assert rates == [0.02, 0.1, 0.1, 0.1, 0.001, 0.00001, 0.00001]
    with pytest.raises(ValueError, match="unknown protocol 'imagenet'; choose from cifar"):
        apply_protocol(make_recipe("ldam"), "imagenet")


def test_sgd_moves_every_parameter_by_its_rate_and_decays_vectors_where_told() -> None:
    config = apply_protocol(make_recipe("cross_entropy"), "cifar")
    classifier = make_classifier(config, 3)
    optimiser = make_optimiser(classifier, config.optimisation)
    before = {name: value.detach().clone() for name, value in classifier.named_parameters()}
    for parameter in classifier.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    for name, value in classifier.named_parameters():
        torch.testing.assert_close(value, before[name] - 0.1 * (1 + 2e-4 * before[name]), msg=name)


def resident(photos: NDArray[np.uint8], **changes: object) -> ResidentViews:
    config = apply_protocol(make_recipe("cross_entropy"), "cifar").with_(size_px=photos.shape[1], **changes)
    shapes = np.array([photo.shape[:2] for photo in photos], dtype=np.int64)
    cache = PhotoCache(photos.reshape(-1), shapes)
    return ResidentViews(cache, range(len(photos)), [0] * len(photos), config, torch.device("cpu"))


def test_a_resident_view_is_the_photo_shifted_over_black_and_perhaps_mirrored() -> None:
    photos = np.random.default_rng(0).integers(1, 256, (3, 16, 16, 3), dtype=np.uint8)
    views = resident(photos)
    seen = set()
    for images, _ in views.batches([[0, 1, 2]] * 40):
        for photo, view in zip(photos, images, strict=True):
            padded = np.pad(photo, ((2, 2), (2, 2), (0, 0)))
            found = [
                (top, left, mirrored)
                for top in range(5)
                for left in range(5)
                for mirrored in (False, True)
                if np.array_equal(
                    padded[top : top + 16, left : left + 16][:, :: -1 if mirrored else 1],
                    view.permute(1, 2, 0).numpy(),
                )
            ]
            assert len(found) == 1
            seen.update(found)
    assert len(seen) > 40


def test_resident_views_depend_on_seed_and_epoch_alone() -> None:
    photos = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)

    def first(epoch: int, seed: int) -> torch.Tensor:
        views = resident(photos, seed=seed)
        views.epoch = epoch
        return next(views.batches([[0, 1, 0, 1]]))[0]

    assert first(0, 0).equal(first(0, 0))
    assert not first(0, 0).equal(first(1, 0))
    assert not first(0, 0).equal(first(0, 1))


def test_processes_that_share_a_batch_make_the_views_that_one_process_makes() -> None:
    photos = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    batches = [[0, 1, 2, 3], [4, 5, 6, 7]]
    alone = [images for images, _ in resident(photos).batches(batches)]
    for rank in (0, 1):
        own = [batch[rank::2] for batch in batches]
        shared = [images for images, _ in resident(photos).batches(own, rank=rank, of=2)]
        for whole, part in zip(alone, shared, strict=True):
            assert part.equal(whole[rank::2])


def test_photos_of_another_size_are_refused_where_they_are_to_be_shifted() -> None:
    config = apply_protocol(make_recipe("cross_entropy"), "cifar")
    cache = PhotoCache(np.zeros(32 * 40 * 3, dtype=np.uint8), np.array([[32, 40]]))
    with pytest.raises(ValueError, match="needs photos that all have 32 px; one has 32x40"):
        ResidentViews(cache, [0], [0], config, torch.device("cpu"))
