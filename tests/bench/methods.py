"""What a method costs beside plain cross-entropy: a training step of each loss, and the order of a balanced epoch.

``python -m tests.bench.methods``, on a machine that does nothing else.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import typer

from tests.bench._drawn_dataset import draw_dataset
from training.choices import Sampling
from training.data.batches import epoch_batches
from training.data.imbalance import profile_counts
from training.data.sampler import epoch_order
from training.recipes import make_recipe
from training.state import begin
from training.step import take_step

LOSSES = (
    "balanced_softmax",
    "weighted_softmax",
    "focal",
    "class_balanced",
    "class_balanced_focal",
    "ldam",
    "ldam_drw",
    "equalization",
    "label_aware_smoothing",
)
STEPS, ROUNDS, MOST = 4, 5, 1.05
NUM_PHOTOS, NUM_CLASSES = 100_000, 1_000


def step_cost(recipe: str, folder: Path) -> float:
    """Seconds of a step of a recipe over those of cross-entropy, turn about on the same batch: median of the rounds."""
    dataset = draw_dataset(folder, 32)
    runs = []
    for name in ("cross_entropy", recipe):
        config = make_recipe(name).with_(size_px=128)
        state = begin(config, dataset)
        state.network.train()
        runs.append((state, config, next(iter(epoch_batches(state.views, config, len(dataset.labels), 0)))))
    ratios = []
    for turn in range(ROUNDS + 1):
        seconds = []
        for state, config, batch in runs:
            rng = np.random.default_rng(turn)
            began = time.perf_counter()
            for _ in range(STEPS):
                take_step(state, config, batch, rng)
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[1] / seconds[0])
    return statistics.median(ratios[1:])  # the first round warms up


def order_seconds(name: str) -> float:
    """Seconds to draw an epoch of 100,000 photos of 1,000 species."""
    counts = profile_counts("exponential", num_classes=NUM_CLASSES, max_count=700, factor=100)
    classes = np.repeat(np.arange(NUM_CLASSES), counts)[:NUM_PHOTOS].tolist()
    sampling = Sampling.model_validate({"name": name})
    rounds = []
    for epoch in range(ROUNDS):
        began = time.perf_counter()
        epoch_order(sampling, classes, NUM_CLASSES, seed=0, epoch=epoch, epochs=ROUNDS)
        rounds.append(time.perf_counter() - began)
    return statistics.median(rounds)


def main() -> None:
    """Print the cost of each loss and of each sampler."""
    torch.manual_seed(0)
    typer.echo("a training step against cross-entropy's (MobileNetV2, 128 px, batch 32)")
    for recipe in LOSSES:
        with tempfile.TemporaryDirectory(prefix="lighttrap-bench-") as folder:
            ratio = step_cost(recipe, Path(folder))
        typer.echo(f"  {recipe:24s} {ratio:5.2f}  at most {MOST}  {'holds' if ratio <= MOST else 'MISSED'}")
    typer.echo("the order of an epoch")
    for name in ("instance", "class_balanced", "square_root", "progressive"):
        typer.echo(f"  {name:24s} {order_seconds(name) * 1000:5.0f} ms")


if __name__ == "__main__":
    typer.run(main)
