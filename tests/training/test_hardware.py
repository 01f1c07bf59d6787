"""A run's number format follows the hardware, unless the configuration says otherwise."""

import re
from pathlib import Path

import pytest
import torch

from training.backbones import make_backbone
from training.hardware import autocast_precision, computes_in_bf16, keep_freed_memory, loader_workers


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="Linux lists what a processor can do")
def test_auto_on_a_cpu_is_bf16_only_where_the_processor_has_instructions_for_it() -> None:
    flags = set(re.findall(r"\b(?:avx512_bf16|amx_bf16)\b", Path("/proc/cpuinfo").read_text()))
    assert computes_in_bf16("cpu") == bool(flags)
    assert autocast_precision("auto", "cpu", slow_in_bf16=False) == ("bf16-mixed" if flags else "32-true")
    assert autocast_precision("auto", "cpu", slow_in_bf16=True) == "32-true"


@pytest.mark.parametrize("slow_in_bf16", [True, False])
@pytest.mark.parametrize(("wanted", "found"), [("bf16", "bf16-mixed"), ("fp32", "32-true")])
def test_a_stated_format_is_kept(wanted: str, found: str, slow_in_bf16: bool) -> None:
    assert autocast_precision(wanted, "cpu", slow_in_bf16=slow_in_bf16) == found


@pytest.mark.parametrize(
    ("name", "slow"),
    [
        ("mobilenetv2_100", True),
        ("mobilenetv3_small_050", True),
        ("resnet18", False),
        ("convnext_atto", False),
    ],
)
def test_networks_of_inverted_residuals_are_those_that_bf16_makes_slower(name: str, slow: bool) -> None:
    assert make_backbone(name, "none", 64).slow_in_bf16 is slow


def test_keeping_freed_memory_twice_harms_nothing() -> None:
    keep_freed_memory()
    keep_freed_memory()
    assert float(torch.ones(1 << 22).sum()) == 1 << 22


@pytest.mark.parametrize(("cores", "workers"), [(1, 0), (2, 0), (4, 2), (64, 8)])
def test_photos_are_loaded_beside_the_computing_only_where_there_are_cores_for_both(
    cores: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert loader_workers(None) == workers
    assert loader_workers(3) == 3
