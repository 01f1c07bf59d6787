"""How much of a training step's speed the photos cost: real loading and augmentation against one batch over and over.

``python -m tests.bench.training [key=value ...]``, on a machine that does nothing else; keys as ``training train``.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tests.bench._drawn_dataset import draw_dataset
from training.config import RunConfig
from training.data.batches import Batch, epoch_batches
from training.overrides import apply_overrides
from training.recipes import make_recipe
from training.state import TrainingState, begin
from training.step import take_step

NUM_BATCHES, ROUNDS, GOAL = 12, 3, 0.9


def rate(state: TrainingState, config: RunConfig, batches: list[Batch] | None) -> float:
    """Images a second of whole steps; with ``batches`` None, of steps on photos as training loads them."""
    rng = np.random.default_rng(0)
    started, seen = time.perf_counter(), 0
    for batch in batches or epoch_batches(state.views, config, len(state.loss.weights_C), 0):
        take_step(state, config, batch, rng)
        seen += len(batch.draws)
    return seen / (time.perf_counter() - started)


def main(overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None) -> None:
    """Print images a second of both, turn about, and their ratio."""
    config = apply_overrides(make_recipe("transfer"), overrides or [])
    with tempfile.TemporaryDirectory(prefix="lighttrap-bench-") as folder:
        dataset = draw_dataset(Path(folder), NUM_BATCHES * config.optimisation.batch_size)
        state = begin(config, dataset)
        state.network.train()
        first = next(iter(epoch_batches(state.views, config, len(dataset.labels), 0)))
        rate(state, config, [first])
        rounds = [
            (rate(state, config, None), rate(state, config, [first] * NUM_BATCHES)) for _ in range(ROUNDS)
        ]
    loaded, synthetic = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(one / other for one, other in rounds)
    typer.echo(f"{config.model.backbone}, {config.crop_size_px} px, {len(os.sched_getaffinity(0))} cores")
    typer.echo(f"training on photos        {loaded:8.1f} images/s")
    typer.echo(f"the same batch again      {synthetic:8.1f} images/s")
    typer.echo(
        f"ratio                     {ratio:8.2f}  goal >= {GOAL}  {'holds' if ratio >= GOAL else 'MISSED'}"
    )


if __name__ == "__main__":
    typer.run(main)
