"""What the machine at hand is and does well: its name, number format and memory. Effects on this process alone."""

import ctypes
import os
import platform
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch

from models.words import count_words

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def autocast_precision(wanted: str, device: str, *, slow_in_bf16: bool) -> Literal["bf16-mixed", "32-true"]:
    """Fabric's name for a configuration's precision; ``auto`` is bf16 where the hardware trains faster in it.

    A CPU without such instructions emulates bf16, at half to a twentieth of the speed of fp32. With them ResNets,
    ConvNeXts and ViTs train 1.3 to 1.8 times as fast, networks that are ``slow_in_bf16`` at 0.55 to 0.9.
    """
    faster = computes_in_bf16(device) and not (slow_in_bf16 and not _on_gpu(device))
    return "bf16-mixed" if wanted == "bf16" or (wanted == "auto" and faster) else "32-true"


def computes_in_bf16(device: str) -> bool:
    """Whether the hardware has instructions for bf16.

    oneDNN calls it supported on every CPU with AVX-512, so the instructions themselves are asked for.
    """
    return _on_gpu(device) or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _on_gpu(device: str) -> bool:
    return device != "cpu" and torch.cuda.is_available()


def loader_workers(wanted: int | None) -> int:
    """How many processes load photos. On two cores none: a process beside the two threads that compute makes each wait
    for the other (39 against 35 images/s); on more, two of four are left to compute, and eight are enough for a GPU.
    """
    if wanted is not None:
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores // 2, 8) if cores > 2 else 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes with one thread: small things faster, and sums in one order whoever asks for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let glibc keep what tensors free. Otherwise the kernel clears each activation's pages anew in every step,
    which took a third of a training step.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for option, value in (
        (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, 2**31 - 1),
        (_M_TOP_PAD, 2**28),
        (_M_ARENA_MAX, 1),
    ):
        mallopt(option, value)


def hardware_name(device: torch.device) -> str:
    """The GPU, or the processor and how many cores of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = os.cpu_count() or 1
    return f"{_processor()}, {count_words(cores, 'core')}"


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    for line in listed.read_text().splitlines() if listed.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_mib(device: torch.device) -> float:
    """The most memory that this process has held so far: of the GPU where it computed on one, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, KiB elsewhere
