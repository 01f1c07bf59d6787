"""A run folder's state on disk: written whole or not at all, read without unpickling code."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

CHECKPOINT, WEIGHTS, METRICS = "checkpoint.pt", "final.safetensors", "metrics.jsonl"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint durably: a kill at any moment, or a full disk, leaves the old or the new one.

    Raises OSError that says so where the new one could not be written.
    """
    part = folder / f"{CHECKPOINT}.part"
    try:
        with part.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
    except (OSError, RuntimeError) as error:  # torch's writer reports a failed write as RuntimeError
        part.unlink(missing_ok=True)
        kept = f"epoch {state['epoch']} could not be saved ({error}); the checkpoint before it is kept"
        raise OSError(f"{folder}: {kept}: make room, then start the same command again") from error
    part.replace(folder / CHECKPOINT)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The state to resume from, or None at the beginning. Raises ValueError for a damaged file."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises unpickling, zip and runtime errors alike
        raise ValueError(f"{path}: damaged; delete it to begin this run again") from error
    return state


def save_text(path: Path, text: str) -> None:
    """Replace a small file durably: a kill at any moment, or a full disk, leaves the old one, or none, or the new."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def save_weights(folder: Path, network: nn.Module) -> None:
    """Write the final weights durably, whole or not at all. Raises OSError that says so where there is no room."""
    part = folder / f"{WEIGHTS}.part"
    try:
        save_file({key: value.contiguous() for key, value in network.state_dict().items()}, part)
        with part.open("r+b") as stream:
            os.fsync(stream.fileno())
    except (OSError, SafetensorError) as error:  # the latter reports a failed write too
        part.unlink(missing_ok=True)
        kept = f"the final weights could not be saved ({error}); the checkpoint of the last epoch is kept"
        raise OSError(f"{folder}: {kept}: make room, then start the same command again") from error
    part.replace(folder / WEIGHTS)


def load_weights(folder: Path, network: nn.Module) -> None:
    """Load the final weights into a network. Raises ValueError where the run has not finished."""
    path = folder / WEIGHTS
    if not path.exists():
        raise ValueError(f"{folder}: this run has not finished; run `train` with the same --out to resume it")
    network.load_state_dict(load_file(path))


def append_metrics(folder: Path, record: dict[str, Any]) -> None:
    """Add one epoch's line, replacing lines of this and later epochs that a killed run left behind."""
    path = folder / METRICS
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["epoch"] < record["epoch"]]
    save_text(path, "\n".join([*kept, json.dumps(record)]) + "\n")
