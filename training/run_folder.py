"""What a run folder says of its run: configuration, data, command and environment."""

import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from training.checkpoint import save_text
from training.config import RunConfig, read_config

CONFIG, RUN = "config.json", "run.json"


class RunRecord(BaseModel):
    """How a run was started, and on what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path
    data_sha256: str
    command: str
    commit: str
    environment: dict[str, str]


def begin_run(folder: Path, config: RunConfig, data: Path, data_sha256: str, command: str) -> None:
    """Write the run's records, or check that a resumed run is the same run. Raises ValueError where it is not."""
    if (folder / CONFIG).exists():
        if read_config(folder / CONFIG) != config or read_run(folder).data_sha256 != data_sha256:
            raise ValueError(f"{folder}: holds a run with other settings or data; choose another --out")
        return
    folder.mkdir(parents=True, exist_ok=True)
    record = RunRecord(
        data=data, data_sha256=data_sha256, command=command, commit=_commit(), environment=_environment()
    )
    # The configuration last: where it is, the run has begun.
    save_text(folder / RUN, record.model_dump_json(indent=1) + "\n")
    save_text(folder / CONFIG, config.model_dump_json(indent=1) + "\n")


def is_first_process() -> bool:
    """Whether this process writes the run's files: torchrun says so in ``RANK``."""
    return os.environ.get("RANK", "0") == "0"


def read_run(folder: Path) -> RunRecord:
    """The record of a run. Raises ValueError naming the folder."""
    try:
        return RunRecord.model_validate(json.loads((folder / RUN).read_text()))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: not a run folder: {error}") from error


def command_line() -> str:
    """The command that this process was started with, to run again."""
    return shlex.join(["python", "-m", "training", *sys.argv[1:]])


def _commit() -> str:
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown: not a git checkout"
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    packages = {name: version(name) for name in ("torch", "torchvision", "timm", "numpy", "pillow")}
    return {"python": platform.python_version(), "platform": sys.platform, **packages}
