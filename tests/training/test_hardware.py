"""A run's number format follows the hardware, unless the configuration says otherwise."""

import pytest
import torch

from training.hardware import autocast_precision, keep_freed_memory


def test_auto_is_bf16_only_where_the_hardware_computes_in_it() -> None:
    native = torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert autocast_precision("auto", "auto") == ("bf16-mixed" if native else "32-true")


@pytest.mark.parametrize(("wanted", "found"), [("bf16", "bf16-mixed"), ("fp32", "32-true")])
def test_a_stated_format_is_kept(wanted: str, found: str) -> None:
    assert autocast_precision(wanted, "cpu") == found


def test_keeping_freed_memory_twice_harms_nothing() -> None:
    keep_freed_memory()
    keep_freed_memory()
    assert float(torch.ones(1 << 22).sum()) == 1 << 22
