"""Mixup, CutMix, Remix and CMO of a batch. Legend: B batch, C classes, H W pixels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.config import RunConfig


class MixedBatch(NamedTuple):
    """Pixels and two labels an image; the loss is ``share`` of the first's plus ``1 - share`` of the second's.

    ``share`` is one number for the batch, or one for each image [B].
    """

    pixels_BCHW: Tensor
    labels_B: Tensor
    other_labels_B: Tensor
    share: float | Tensor


class Labelled(NamedTuple):
    """Pixels and classes of images."""

    pixels_BCHW: Tensor
    labels_B: Tensor


class Mixer:
    """The mixing that a configuration names, for classes with these training counts."""

    def __init__(self, config: RunConfig, training_counts: Sequence[int]) -> None:
        self._settings, self._mixing = config.optimisation, config.mixing
        self._counts_C = torch.tensor(training_counts, dtype=torch.float64)

    def __call__(
        self, images: Labelled, rng: np.random.Generator, foreground: Labelled | None = None
    ) -> MixedBatch:
        """Patches of ``foreground`` where there are some, else mixup or CutMix; then Remix's labels, if asked for."""
        if foreground is not None:
            batch = paste(images, foreground, float(rng.beta(1.0, 1.0)), rng)
        else:
            settings = self._settings
            batch = mix(*images, rng, mixup_alpha=settings.mixup_alpha, cutmix_alpha=settings.cutmix_alpha)
        if self._mixing.remix:
            batch = remix(batch, self._counts_C, kappa=self._mixing.kappa, tau=self._mixing.remix_tau)
        return batch


def mix(
    pixels_BCHW: Tensor,
    labels_B: Tensor,
    rng: np.random.Generator,
    *,
    mixup_alpha: float,
    cutmix_alpha: float,
) -> MixedBatch:
    """Mixup (Zhang et al., 2018) or CutMix (Yun et al., 2019), each half the time where both are asked for.

    Shares are Beta(alpha, alpha); alpha 0 turns a method off. CutMix's share is exactly its pixel ratio.
    """
    methods = [(alpha, cut) for alpha, cut in ((mixup_alpha, False), (cutmix_alpha, True)) if alpha > 0]
    if not methods:
        return MixedBatch(pixels_BCHW, labels_B, labels_B, 1.0)
    alpha, cut = methods[int(rng.integers(len(methods)))]
    share = float(rng.beta(alpha, alpha))
    other = torch.from_numpy(rng.permutation(len(labels_B))).to(labels_B.device)
    if cut:
        images = Labelled(pixels_BCHW, labels_B)
        return paste(images, Labelled(pixels_BCHW[other], labels_B[other]), share, rng)
    pixels_BCHW = torch.lerp(pixels_BCHW[other], pixels_BCHW, share)
    return MixedBatch(pixels_BCHW, labels_B, labels_B[other], share)


def remix(batch: MixedBatch, counts_C: Tensor, *, kappa: float, tau: float) -> MixedBatch:
    """The rarer label alone where classes are ``kappa`` times apart and the frequent one's share is under ``tau``.

    Chou et al. (2020): images stay as they were mixed, shares of labels become one number an image.
    """
    first_B, other_B = (
        counts_C.to(labels.device)[labels] for labels in (batch.labels_B, batch.other_labels_B)
    )
    share_B = torch.as_tensor(batch.share, device=first_B.device).expand(first_B.shape).float()
    to_other_B = (first_B >= kappa * other_B) & (share_B < tau)
    to_first_B = (other_B >= kappa * first_B) & (1 - share_B < tau)
    return batch._replace(share=share_B.masked_fill(to_other_B, 0.0).masked_fill(to_first_B, 1.0))


def paste(images: Labelled, foreground: Labelled, share: float, rng: np.random.Generator) -> MixedBatch:
    """A patch of each foreground over each image: CutMix, and CMO where foregrounds are drawn for the tail.

    The patch has about ``1 - share`` of the pixels; the batch's share is exactly the ratio that was left.
    """
    pixels_BCHW, left = _paste(images.pixels_BCHW, foreground.pixels_BCHW, share, rng)
    return MixedBatch(pixels_BCHW, images.labels_B, foreground.labels_B, left)


def _paste(
    pixels_BCHW: Tensor, other_BCHW: Tensor, share: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    height, width = pixels_BCHW.shape[2:]
    side = (1.0 - share) ** 0.5
    top, left = int(rng.integers(height)), int(rng.integers(width))
    half_height, half_width = int(height * side / 2), int(width * side / 2)
    first_row, last_row = max(0, top - half_height), min(height, top + half_height)
    first_column, last_column = max(0, left - half_width), min(width, left + half_width)
    rows, columns = slice(first_row, last_row), slice(first_column, last_column)
    mixed = pixels_BCHW.clone()
    mixed[:, :, rows, columns] = other_BCHW[:, :, rows, columns]
    pasted = (last_row - first_row) * (last_column - first_column)
    return mixed, 1.0 - pasted / (height * width)
