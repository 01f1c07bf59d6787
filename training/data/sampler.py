"""The order in which an epoch visits the training photos. Seeded by (seed, epoch), whatever the workers do."""

import torch

from training.data.dataset import view_seed

_ORDER = 2**31  # keeps an epoch's order apart from the views of its photos


def instance_order(num_samples: int, *, seed: int, epoch: int) -> list[int]:
    """Every photo once, shuffled: instance-balanced sampling.

    >>> sorted(instance_order(4, seed=0, epoch=1))
    [0, 1, 2, 3]
    """
    generator = torch.Generator().manual_seed(view_seed(seed, epoch, _ORDER))
    return torch.randperm(num_samples, generator=generator).tolist()
