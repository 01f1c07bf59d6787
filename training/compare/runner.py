"""Makes the runs of a comparison that are missing: each in a process of its own, several at once where asked.

Knows nothing of what is in a run; what has finished is kept in a folder of small results that stands for the runs.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.checkpoint import CHECKPOINT
from training.compare.job import JOB, Job
from training.compare.plan import differing_keys, epochs_key, run_key
from training.compare.progress import minutes_left
from training.compare.record import RESULT, RunResult, read_result
from training.config import RunConfig, read_config
from training.run_folder import CONFIG, read_run
from training.trainer import epochs_are_complete

LOG = "log.txt"
_POLL_S = 0.2
_ENDED_S = 30


@dataclass(frozen=True)
class Place:
    """Where a comparison lives: the folder of runs (large), that of results (small), and the data that all share."""

    runs: Path
    results: Path
    data: Path
    data_sha256: str
    command: str

    def result_path(self, config: RunConfig) -> Path:
        """Where the result of a run is kept."""
        return self.results / f"{run_key(config)}.json"


def read_results(place: Place) -> tuple[RunResult, ...]:
    """All results of the folder, by name. Raises ValueError naming a file that is damaged or of other data."""
    found = []
    for path in sorted(place.results.glob("*.json")):
        result = read_result(path)
        if result.data_sha256 != place.data_sha256:
            raise ValueError(
                f"{path}: was run on other data than {place.data}; choose another --results or --out"
            )
        found.append(result)
    return tuple(found)


def missing_runs(configs: Sequence[RunConfig], place: Place) -> tuple[RunConfig, ...]:
    """The runs without a result. Raises ValueError naming a result that has other settings."""
    finished = {result.key: result for result in read_results(place)}
    for config in configs:
        result = finished.get(run_key(config))
        if result and (keys := differing_keys(result.config, config)):
            raise ValueError(
                f"{place.result_path(config)}: was run with another {', '.join(keys)}; choose another --results or "
                "--out, or move the file away to run it again"
            )
    return tuple(config for config in configs if run_key(config) not in finished)


def finished_epochs(configs: Sequence[RunConfig], place: Place) -> dict[str, Path]:
    """Folders of runs whose epochs are complete, by the ``epochs_key`` of the runs that can go on from them."""
    wanted = {epochs_key(config): config for config in configs}
    found: dict[str, Path] = {}
    for path in sorted(place.runs.glob(f"*/{CONFIG}")):
        folder = path.parent
        try:
            key = epochs_key(read_config(path))
            fits = key in wanted and read_run(folder).data_sha256 == place.data_sha256
        except ValueError:  # half written: the run itself will say so
            continue
        if fits and epochs_are_complete(wanted[key], folder):
            found.setdefault(key, folder)
    return found


@dataclass
class _Running:
    config: RunConfig
    process: subprocess.Popen[bytes]
    shares: bool
    began: float = field(default_factory=time.monotonic)

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self.began) / 60


class Runner:
    """Works off a list of runs. Runs of the same epochs wait for the first of them; a failure ends no other."""

    def __init__(
        self,
        place: Place,
        parallel: int,
        *,
        say: Callable[[str], None],
        describe: Callable[[RunResult], str],
    ) -> None:
        """``say`` is told a line for each run as it begins and ends, ``describe`` puts a result into words."""
        self._place, self._parallel, self._say, self._describe = place, parallel, say, describe
        self._pending: list[RunConfig] = []
        self._running: list[_Running] = []
        self._epochs: dict[str, Path] = {}
        self._failures: dict[str, str] = {}
        self._took: list[tuple[bool, float]] = []
        self._total = self._begun = 0

    def run(self, configs: Sequence[RunConfig]) -> dict[str, str]:
        """Make these runs. Returns why some failed, by ``run_key``. Interrupted, it ends them; they can go on later."""
        self._pending, self._total = list(configs), len(configs)
        self._epochs = finished_epochs(configs, self._place)
        try:
            while self._pending or self._running:
                self._start_what_can_start()
                time.sleep(_POLL_S)
                for running in [one for one in self._running if one.process.poll() is not None]:
                    self._running.remove(running)
                    self._end(running)
        finally:
            _end_all([running.process for running in self._running])
        return self._failures

    def _start_what_can_start(self) -> None:
        for config in list(self._pending):
            if len(self._running) >= self._parallel:
                return
            source = self._epochs.get(epochs_key(config))
            if source is None and epochs_key(config) in {epochs_key(one.config) for one in self._running}:
                continue
            self._pending.remove(config)
            self._start(config, source)

    def _start(self, config: RunConfig, source: Path | None) -> None:
        folder = self._place.runs / run_key(config)
        self._begun += 1
        try:
            process = self._process(config, source, folder)
        except OSError as error:  # no matter of the other runs: what is left on the disk may do for them
            self._fail(config, _not_written(folder, error))
            return
        self._running.append(_Running(config, process, shares=source is not None))
        shared = f" on the epochs of {source.name}" if source and source != folder else ""
        self._say(f"[{self._begun}/{self._total}] {run_key(config)} begins{shared}")

    def _process(self, config: RunConfig, source: Path | None, folder: Path) -> subprocess.Popen[bytes]:
        folder.mkdir(parents=True, exist_ok=True)
        job = Job(config=config, data=self._place.data, command=self._place.command, epochs_folder=source)
        (folder / JOB).write_text(job.model_dump_json(indent=1) + "\n")
        with (folder / LOG).open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "training.compare.job", str(folder)], stdout=log, stderr=log
            )

    def _end(self, running: _Running) -> None:
        config, folder = running.config, self._place.runs / run_key(running.config)
        if epochs_are_complete(config, folder):
            self._epochs.setdefault(epochs_key(config), folder)
        try:
            result = self._kept_result(running, folder)
        except ValueError as error:
            self._fail(config, str(error).splitlines()[0])
            self._fail_those_waiting_for(config)
            return
        self._took.append((running.shares, running.minutes))
        words = f"{run_key(config)} done in {running.minutes:.1f} min; {self._describe(result)}"
        self._say(f"{self._ended()} {words}{self._remaining()}")

    def _kept_result(self, running: _Running, folder: Path) -> RunResult:
        """The result of a run that ended, once it lies with the others. Raises ValueError with the reason why not.

        A result that cannot be read is a matter of the disk or of another checkout's code, and none of other runs.
        """
        if running.process.returncode:
            raise ValueError(why_it_failed(running.process.returncode, folder / LOG))
        result = read_result(folder / RESULT)
        path = self._place.result_path(running.config)
        try:
            _copy_whole(folder / RESULT, path)
        except OSError as error:
            raise ValueError(_not_written(path, error)) from error
        return result

    def _fail(self, config: RunConfig, reason: str) -> None:
        self._failures[run_key(config)] = reason
        self._say(f"{self._ended()} {run_key(config)} failed: {reason}")

    def _fail_those_waiting_for(self, config: RunConfig) -> None:
        if not _stopped_within_epochs(config, self._place.runs / run_key(config)):
            return
        for other in [one for one in self._pending if epochs_key(one) == epochs_key(config)]:
            self._pending.remove(other)
            self._begun += 1
            self._fail(other, f"its epochs are those of {run_key(config)}, which failed")

    def _ended(self) -> str:
        return f"[{self._total - len(self._pending) - len(self._running)}/{self._total}]"

    def _remaining(self) -> str:
        left = [one.shares for one in self._running] + self._will_share()
        minutes = minutes_left(self._took, left, self._parallel)
        return f"; about {minutes:.0f} min left" if left else ""

    def _will_share(self) -> list[bool]:
        keys = [*self._epochs, *(epochs_key(one.config) for one in self._running)]
        shares = []
        for key in map(epochs_key, self._pending):
            shares.append(key in keys)
            keys.append(key)
        return shares


def _end_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Asked to end, then made to: one that hangs, such as in a driver, must not outlive the comparison."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _ENDED_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _copy_whole(source: Path, target: Path) -> None:
    part = target.with_suffix(".part")
    try:
        part.write_bytes(source.read_bytes())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _not_written(path: Path, error: OSError) -> str:
    said = error.strerror or error
    return f"{path}: could not be written ({said}): make room there, then start the same command again"


def _stopped_within_epochs(config: RunConfig, folder: Path) -> bool:
    """Whether other runs of these epochs would end in the same way: they got somewhere, but not to the end."""
    return (folder / CHECKPOINT).exists() and not epochs_are_complete(config, folder)


def why_it_failed(code: int, log: Path) -> str:
    """The last line that a failed run said, or which signal ended it."""
    if code < 0:
        hint = ": the machine had too little memory for it, or somebody ended it" if code == -9 else ""
        return f"it was ended by signal {-code}{hint}; the same command goes on where it was"
    said = log.read_text(errors="replace") if log.exists() else ""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else f"it ended with code {code} and said nothing"
