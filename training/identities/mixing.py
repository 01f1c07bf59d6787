"""Identities of mixing: shares that are exactly what was mixed, and labels that go to the tail."""

import numpy as np
import torch
from torch import Tensor, nn

from training.choices import Mixing
from training.class_weights import inverse_frequency
from training.data.batches import foreground_draws, pasted_steps
from training.identities.check import Checks, close
from training.identities.losses import COUNTS as FIVE
from training.identities.losses import batch
from training.identities.sampling import CLASSES, COUNTS, drawn, within_bounds
from training.losses import Focal
from training.mixing import Labelled, MixedBatch, mix, paste, remix
from training.objective import Objective
from training.recipes import make_recipe
from training.step_loss import Step

CHECKS = Checks()


def images(seed: int = 0) -> Labelled:
    """Random pixels [8, 3, 11, 13] of four classes."""
    generator = torch.Generator().manual_seed(seed)
    return Labelled(torch.rand(8, 3, 11, 13, generator=generator), torch.arange(8) % len(COUNTS))


def mixed(seed: int, *, mixup_alpha: float = 0.0, cutmix_alpha: float = 0.0) -> MixedBatch:
    """The random pixels, mixed."""
    rng = np.random.default_rng(seed)
    return mix(*images(), rng, mixup_alpha=mixup_alpha, cutmix_alpha=cutmix_alpha)


def left_of(batch: MixedBatch) -> Tensor:
    """The share of pixels that were left, counted in black images under white patches."""
    return (batch.pixels_BCHW == 0).double().mean()


def has_pixel_ratio(seed: int, share: float) -> bool:
    """Whether pasting white over black leaves exactly the share that the batch says."""
    black = Labelled(torch.zeros(2, 1, 11, 13), torch.tensor([0, 1]))
    white = Labelled(torch.ones(2, 1, 11, 13), torch.tensor([1, 0]))
    batch = paste(black, white, share, np.random.default_rng(seed))
    return close(left_of(batch), torch.tensor(batch.share, dtype=torch.float64), 1e-12)


@CHECKS.add("mixup", "alpha = 0 leaves images and labels as they are")
def _not_mixed() -> bool:
    batch = mixed(0)
    return bool(batch.share == 1.0) and bool(batch.pixels_BCHW.equal(images().pixels_BCHW))


@CHECKS.add("mixup", "pixels are the share of one image and the rest of the image with the other label")
def _mixup_definition() -> bool:
    batch, pixels = mixed(3, mixup_alpha=1.0), images().pixels_BCHW
    rng = np.random.default_rng(3)
    rng.integers(1)
    share, other = float(rng.beta(1.0, 1.0)), torch.from_numpy(rng.permutation(8))
    same_labels = bool(batch.other_labels_B.equal(images().labels_B[other]))
    expected = share * pixels + (1 - share) * pixels[other]
    return same_labels and close(batch.pixels_BCHW, expected, 1e-6)


@CHECKS.add(
    "mixup", "a share of 1 has the plain loss, and shares are of each image's losses, not of the batch's mean"
)
def _shared_losses() -> bool:
    logits_BC, labels_B = batch()
    others_B = labels_B.roll(1)
    objective = Objective(Focal(), inverse_frequency(FIVE, gamma=0.5))
    share_B = torch.linspace(0, 1, len(labels_B), dtype=torch.float64)

    def loss(share: float | Tensor) -> Tensor:
        mixture = MixedBatch(logits_BC, labels_B, others_B, share)
        return Step(nn.Identity())(nn.Identity(), objective, mixture, None)[1]  # type: ignore[no-any-return]

    first_B, other_B = objective(logits_BC, labels_B), objective(logits_BC, others_B)
    by_image = [share * a + (1 - share) * b for share, a, b in zip(share_B, first_B, other_B, strict=True)]
    return close(loss(1.0), first_B.mean()) and close(loss(share_B), torch.stack(by_image).mean())


@CHECKS.add("CutMix", "a share of 1 leaves images as they are")
def _nothing_pasted() -> bool:
    return all(
        paste(images(0), images(1), 1.0, np.random.default_rng(seed)).pixels_BCHW.equal(images(0).pixels_BCHW)
        for seed in range(5)
    )


@CHECKS.add("CutMix", "the label's share is exactly the pixel ratio")
def _cutmix_ratio() -> bool:
    return all(has_pixel_ratio(seed, share) for seed in range(20) for share in (0.0, 0.1, 0.5, 0.9, 1.0))


@CHECKS.add("Remix", "tau = 0 is mixup")
def _no_remix() -> bool:
    batch = mixed(1, mixup_alpha=1.0)
    found = remix(batch, torch.tensor(COUNTS, dtype=torch.float64), kappa=3.0, tau=0.0)
    return close(torch.as_tensor(found.share), torch.full((8,), float(batch.share)), 0.0)


@CHECKS.add("Remix", "equal counts are mixup")
def _equal_remix() -> bool:
    batch = mixed(1, mixup_alpha=1.0)
    found = remix(batch, torch.full((len(COUNTS),), 7.0), kappa=3.0, tau=0.5)
    return close(torch.as_tensor(found.share), torch.full((8,), float(batch.share)), 0.0)


@CHECKS.add(
    "Remix", "the rarer label has all where it is kappa times rarer and the frequent share is under tau"
)
def _to_the_tail() -> bool:
    first, other = torch.tensor([0, 3, 0, 0]), torch.tensor([3, 0, 1, 0])
    counts_C = torch.tensor([30.0, 15.0, 12.0, 10.0])

    def shares(share: float) -> Tensor:
        batch = MixedBatch(torch.zeros(4, 1, 1, 1), first, other, share)
        return torch.as_tensor(remix(batch, counts_C, kappa=3.0, tau=0.5).share)

    return close(shares(0.4), torch.tensor([0.0, 0.4, 0.4, 0.4])) and close(
        shares(0.6), torch.tensor([0.6, 1.0, 0.6, 0.6])
    )


@CHECKS.add(
    "CMO", "the label's share is exactly the pixel ratio, and a patch shows the foreground of its label"
)
def _cmo_ratio() -> bool:
    background, foreground = images(0), images(1)
    batch = paste(background, foreground, 0.5, np.random.default_rng(0))
    kept = batch.pixels_BCHW == background.pixels_BCHW
    pasted = batch.pixels_BCHW == foreground.pixels_BCHW
    ratio = kept.double().mean()
    return bool((kept ^ pasted).all()) and close(ratio, torch.tensor(batch.share, dtype=torch.float64), 1e-12)


@CHECKS.add("CMO", "foregrounds are drawn as 1 / n, within binomial bounds")
def _foregrounds() -> bool:
    draws = foreground_draws(CLASSES, len(COUNTS), 4000, seed=0)
    inverse_C = 1 / np.array(COUNTS)
    return within_bounds(drawn(draws), inverse_C / inverse_C.sum())


@CHECKS.add("CMO", "half the batches get patches, and none in the first and last three epochs")
def _rest() -> bool:
    config = make_recipe("baseline").with_(mixing=Mixing(cmo=0.5), optimisation={"epochs": 12})
    pasted = np.array([pasted_steps(config, 400, epoch).sum() for epoch in range(12)])
    resting = np.array([0, 1, 2, 9, 10, 11])
    working = within_bounds(np.array([pasted.sum(), 6 * 400 - pasted.sum()]), np.array([0.5, 0.5]))
    return not pasted[resting].any() and working
