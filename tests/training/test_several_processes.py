"""Two processes on the CPU (gloo) train as one does."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from training.data.batches import Share, cut_to_batches
from training.data.prepared import Dataset, write_dataset

WORDS = ["--recipe", "debug", "model.backbone=test_vit", "optimisation.epochs=3", "optimisation.batch_size=4"]
WORDS += [
    "precision=fp32"
]  # in bf16, which some processors have, a batch and its halves are rounded differently


def run(
    dataset: Dataset, out: Path, *words: str, processes: int
) -> tuple[list[float], dict[str, np.ndarray]]:
    write_dataset(dataset, ())
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    module = launcher if processes > 1 else []
    command = [
        "-m",
        *module,
        "training",
        "train",
        "--data",
        str(dataset.folder),
        "--out",
        str(out),
        *WORDS,
        *words,
    ]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert done.stdout.count("finished:") == 1
    return losses, load_file(out / "final.safetensors")


@pytest.mark.parametrize(
    "words",
    [
        ["optimisation.mixup_alpha=0"],
        ["optimisation.mixup_alpha=1.0"],
        ["model.backbone=test_convnext", "loss.name=equalization", "model.dropout=0.5"],
    ],
    ids=["plain", "mixed", "with numbers drawn for each image and a part that no feature needs"],
)
def test_two_processes_give_the_loss_curve_and_the_weights_of_one(
    tiny_dataset: Dataset, tmp_path: Path, words: list[str]
) -> None:
    one, weights = run(tiny_dataset, tmp_path / "one", *words, processes=1)
    two, shared = run(tiny_dataset, tmp_path / "two", *words, processes=2)
    assert len(one) == 3
    assert one[0] != one[2]
    np.testing.assert_allclose(two, one, rtol=2e-4)
    for name, value in weights.items():
        np.testing.assert_allclose(shared[name], value, atol=2e-4, err_msg=name)


def test_the_processes_shares_are_the_whole_batch_and_of_one_size() -> None:
    order = list(range(23))
    shares = [cut_to_batches(order, 8, Share(rank, 3)) for rank in range(3)]
    for parts in zip(*shares, strict=True):
        assert len({len(part) for part in parts}) == 1
    seen = sorted(item for share in shares for batch in share for item in batch)
    assert seen == [*range(6), *range(8, 14), *range(16, 22)]
