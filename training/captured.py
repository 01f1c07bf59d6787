"""On a GPU: the hundreds of small kernels of a network's two passes, launched as one (CUDA graphs).

A step of a small network is shorter than the time in which a processor launches it kernel by kernel. Numbers are those
of the same kernels launched one by one.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_MANY_STEPS = 5_000
"""From so many on, trying out which kernels are the fastest, for a few seconds, is time won."""


def capture_passes(network: nn.Module, *, num_steps: int) -> bool:
    """Let a network on a GPU replay what it did in training for the first batch, for all batches of its shape.

    Returns whether it will. Not where a part tells another what it computed, which a replay would leave out.
    """
    on_gpu = all(parameter.is_cuda for parameter in network.parameters())
    if not on_gpu or any(module._forward_hooks for module in network.modules()):
        return False
    network.forward = _Captured(network, tuned=num_steps >= _MANY_STEPS)
    return True


class _Captured:
    """Stands in the place of a network's ``forward``."""

    def __init__(self, network: nn.Module, *, tuned: bool) -> None:
        self._network, self._tuned = network, tuned
        self._plain: Callable[[Tensor], Any] = network.forward
        self._replay = self._plain
        self._shape: torch.Size | None = None

    def __call__(self, pixels_BCHW: Tensor) -> Any:
        if not (self._network.training and torch.is_grad_enabled()):
            return self._plain(pixels_BCHW)
        if self._shape is None:
            self._shape = pixels_BCHW.shape
            self._capture(pixels_BCHW)
        return (self._replay if pixels_BCHW.shape == self._shape else self._plain)(pixels_BCHW)

    def _capture(self, pixels_BCHW: Tensor) -> None:
        """Warming up draws numbers and moves statistics: both are put back. What cannot be captured stays plain."""
        network, device = self._network, pixels_BCHW.device
        kept = [buffer.clone() for buffer in network.buffers()]
        network.forward = self._plain
        autocast = torch.autocast(
            "cuda",
            dtype=torch.get_autocast_dtype("cuda"),
            enabled=torch.is_autocast_enabled("cuda"),
            cache_enabled=False,
        )
        # What is captured adds up gradients on the stream of its warm-up, which is meant.
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
        with torch.random.fork_rng(devices=[device]), autocast, _fastest_kernels(wanted=self._tuned):
            try:
                torch.cuda.make_graphed_callables(network, (torch.zeros_like(pixels_BCHW),))
                self._replay = network.forward
            except RuntimeError as error:
                warnings.warn(
                    f"a step's kernels are launched one by one, which is slower: {error}", stacklevel=2
                )
        network.forward = self
        with torch.no_grad():
            for buffer, value in zip(network.buffers(), kept, strict=True):
                buffer.copy_(value)


@contextmanager
def _fastest_kernels(*, wanted: bool) -> Iterator[None]:
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or wanted
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
