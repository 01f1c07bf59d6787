"""A run's number format follows the hardware, unless the configuration says otherwise."""

import re
from pathlib import Path

import pytest
import torch

from training.hardware import autocast_precision, keep_freed_memory


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="Linux lists what a processor can do")
def test_auto_on_a_cpu_is_bf16_only_where_the_processor_has_instructions_for_it() -> None:
    flags = set(re.findall(r"\b(?:avx512_bf16|amx_bf16)\b", Path("/proc/cpuinfo").read_text()))
    assert autocast_precision("auto", "cpu") == ("bf16-mixed" if flags else "32-true")


@pytest.mark.parametrize(("wanted", "found"), [("bf16", "bf16-mixed"), ("fp32", "32-true")])
def test_a_stated_format_is_kept(wanted: str, found: str) -> None:
    assert autocast_precision(wanted, "cpu") == found


def test_keeping_freed_memory_twice_harms_nothing() -> None:
    keep_freed_memory()
    keep_freed_memory()
    assert float(torch.ones(1 << 22).sum()) == 1 << 22
