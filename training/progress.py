"""What a person sees of a long run: rate, remaining time, loss, and recall of head, middle and tail."""

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.groups import GROUPS
from models.metrics import Evaluation


class RunProgress:
    """A bar over all steps of a run on a terminal; one plain line an epoch everywhere."""

    def __init__(self, title: str, *, first_step: int, num_steps: int, silent: bool = False) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            disable=silent or not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(title, total=num_steps, completed=first_step, rate="")
        self._began, self._first_step, self._num_steps = time.monotonic(), first_step, num_steps
        self._step, self._images = first_step, 0

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, num_images: int, loss: float) -> None:
        """Count one optimisation step."""
        self._step += 1
        self._images += num_images
        rate = f"{self._rate():.0f} images/s, loss {loss:.3f}"
        self._bar.update(self._task, completed=self._step, rate=rate)

    def epoch(self, record: dict[str, Any]) -> None:
        """Print an epoch's line."""
        elapsed = time.monotonic() - self._began
        done = max(self._step - self._first_step, 1)
        minutes = elapsed / done * (self._num_steps - self._step) / 60
        words = f"epoch {record['epoch'] + 1:3d}  loss {record['loss']:.4f}  {self._rate():.1f} images/s"
        words += f"  {minutes:.1f} min left"
        if record.get("validation"):
            words += "  recall " + " ".join(f"{k} {_percent(v)}" for k, v in record["validation"].items())
        self._bar.console.print(words, highlight=False, soft_wrap=True)

    def _rate(self) -> float:
        return self._images / max(time.monotonic() - self._began, 1e-9)


def validation_summary(evaluation: Evaluation) -> dict[str, float | None]:
    """Accuracy and macro recall of each group, for an epoch's record."""
    recalls = {group: evaluation.group(group).recall for group in GROUPS}
    return {"all": evaluation.accuracy.value} | {
        group: recall.value if recall else None for group, recall in recalls.items()
    }


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"
