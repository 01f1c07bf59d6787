"""Mixup and CutMix of a batch. Legend: B batch, H W pixels."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class MixedBatch(NamedTuple):
    """Pixels and two labels an image; the loss is ``share`` of the first's plus ``1 - share`` of the second's."""

    pixels_BCHW: Tensor
    labels_B: Tensor
    other_labels_B: Tensor
    share: float


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
        pixels_BCHW, share = _paste(pixels_BCHW, pixels_BCHW[other], share, rng)
    else:
        pixels_BCHW = torch.lerp(pixels_BCHW[other], pixels_BCHW, share)
    return MixedBatch(pixels_BCHW, labels_B, labels_B[other], share)


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
