"""Averages of weights: of a network over its steps, which a run ends with, and of several networks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Tensors = tuple[Tensor, ...] | list[Tensor]
Average = Callable[[Tensors, Tensors, Tensor | int], None]


def share_of_newest(decay: float, num_averaged: int) -> float:
    """What the next weights count in an average that has seen ``num_averaged``: ``1 - decay``, and at first more.

    With ``1 - decay`` alone the first weights, which have learnt nothing, would outweigh all others for ``1 / (1 -
    decay)`` steps: a run of thirty steps, as a few photos give, would end near where it began. So the average begins
    short and grows with the run, to at most a tenth of it: ``min(decay, (1 + n) / (10 + n))``.

    >>> [round(share_of_newest(0.99, steps), 4) for steps in (0, 1, 10, 100, 890, 5000)]
    [0.9, 0.8182, 0.45, 0.0818, 0.01, 0.01]
    >>> share_of_newest(0.0, 3)
    1.0
    """
    return max(1 - decay, 9 / (10 + num_averaged)) if decay else 1.0


def running_average(decay: float) -> Average:
    """How ``AveragedModel`` takes up the newest weights, and with them the statistics of batch normalisation."""

    @torch.no_grad()
    def take_up(averages: Tensors, newest: Tensors, num_averaged: Tensor | int) -> None:
        share = share_of_newest(decay, int(num_averaged))
        if torch.is_floating_point(averages[0]):
            torch._foreach_lerp_(averages, newest, share)
        else:  # counts of steps
            for average, new in zip(averages, newest, strict=True):
                average.copy_(new)

    return take_up


def mean_weights(networks: Sequence[nn.Module]) -> dict[str, Tensor]:
    """The mean of every weight and statistic of networks of one shape: a model soup (Wortsman et al., 2022).

    It is a good network where all began from the same weights and did not go far from them.
    """
    states = [network.state_dict() for network in networks]
    return {
        key: torch.stack([state[key].double() for state in states]).mean(dim=0).to(first)
        for key, first in states[0].items()
    }
