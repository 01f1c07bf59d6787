"""One optimisation step. Legend: B batch (of all processes together: G), C classes, H W pixels."""

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from training.config import RunConfig
from training.data.batches import Batch
from training.mixing import Labelled, MixedBatch
from training.state import TrainingState


class NotFinite(Exception):
    """The loss or its gradient is no number. Nothing has been changed by the step."""


def take_step(state: TrainingState, config: RunConfig, batch: Batch, rng: np.random.Generator) -> float:
    """Mix, classify, correct. Returns the loss of the batch before it. Raises NotFinite."""
    mixed = _mixed(state, batch, rng)
    second_BCHW = _floats(state, *batch.second).pixels_BCHW if batch.second else None
    logits_BC, loss = state.step(state.network, state.loss, mixed, second_BCHW)
    if state.taught is not None:
        loss = state.taught(loss, logits_BC, mixed.pixels_BCHW)
    state.optimiser.zero_grad(set_to_none=True)
    state.fabric.backward(loss)
    value = _checked_and_clipped(loss.detach(), state.network.parameters(), config.optimisation.clip_norm)
    state.optimiser.step()
    state.average.update_parameters(state.classifier)
    return value


def _checked_and_clipped(loss: Tensor, parameters: Iterable[nn.Parameter], clip_norm: float) -> float:
    """The loss as a number, once the gradient is no longer than ``clip_norm``; 0 lets it be of any length.

    Raises NotFinite. Both are looked at in every step, together, so that a GPU is waited for once: where the loss is a
    number its gradient need not be, and the last step of an epoch has no next one to notice.
    """
    learning = [parameter for parameter in parameters if parameter.grad is not None]
    length = nn.utils.get_total_norm([cast(Tensor, parameter.grad) for parameter in learning])
    value, norm = torch.stack([loss, length.to(loss.device)]).tolist()
    if not np.isfinite(value):
        raise NotFinite(f"the loss is {value}")
    if not np.isfinite(norm):
        raise NotFinite(f"the length of the gradient is {norm}")
    if clip_norm:
        nn.utils.clip_grads_with_norm_(learning, clip_norm, length)
    return float(value)


def _mixed(state: TrainingState, batch: Batch, rng: np.random.Generator) -> MixedBatch:
    """This process's images, mixed with those of the whole batch, so that several processes do what one would."""
    images, patches = Labelled(batch.images_BCHW, batch.labels_B), batch.foreground
    rank, of = state.share
    if of == 1:
        return state.mixer(_floats(state, *images), rng, _floats(state, *patches) if patches else None)
    whole = _floats(state, *(_gathered(state, part) for part in images))
    pasted = _floats(state, *(_gathered(state, part) for part in patches)) if patches else None
    mixed = state.mixer(whole, rng, pasted)
    own_share = mixed.share[rank::of] if isinstance(mixed.share, Tensor) else mixed.share
    pixels_BCHW, labels_B, other_labels_B = (part[rank::of] for part in mixed[:3])
    return MixedBatch(pixels_BCHW, labels_B, other_labels_B, own_share)


def _gathered(state: TrainingState, part_B: Tensor) -> Tensor:
    """What all processes have of a batch, in the order of the batch."""
    parts_RB = cast(Tensor, state.fabric.all_gather(part_B.to(state.fabric.device).contiguous()))
    return parts_RB.transpose(0, 1).flatten(0, 1)


def _floats(state: TrainingState, pixels_BCHW: Tensor, classes_B: Tensor) -> Labelled:
    device = state.fabric.device
    floats_BCHW = pixels_BCHW.to(device).float().contiguous(memory_format=torch.channels_last)
    return Labelled(floats_BCHW, classes_B.to(device))
