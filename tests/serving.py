"""The service as a real process, started by its own command line."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass
class Server:
    """``python -m app serve`` with these settings, on a free port. ``start`` returns when it answers.

    ``program``: another module that serves the same, such as one that dies on purpose (``tests.dying``).
    """

    settings: dict[str, str]
    log: Path
    output: str = ""
    program: str = "app"
    extra: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with no settings but the given ones."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTTRAP_")}
        kept.pop("DATABASE_URL", None)
        given = {f"LIGHTTRAP_{name}": value for name, value in self.settings.items()}
        return {**kept, "PYTHONPATH": str(ROOT), **given, **self.extra}

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "start it first"
        return self._process

    @property
    def url(self) -> str:
        """Where it answers."""
        found = re.search(r"answers at (\S+)", self.output)
        assert found is not None, self.output
        return found[1]

    @property
    def setup_token(self) -> str | None:
        """The token of the set-up link, if one was printed."""
        found = re.search(r"/setup\?token=(\S+)", self.output)
        return found[1] if found else None

    def start(self) -> "Server":
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.program, "serve"],
                cwd=self.log.parent,
                env={**self.environment, "LIGHTTRAP_PORT": "0"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.output = self._read_until_ready()
        return self

    def _read_until_ready(self) -> str:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "answers at" in line:
                return "".join(lines)
        raise AssertionError(f"it ended with {self.process.wait()}: {self.log.read_text()}")

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Another command with the same settings."""
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            cwd=self.log.parent,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        code = self.process.wait(timeout=60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def kill(self) -> None:
        """As a power cut would end it."""
        if self._process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.wait()
            self._process = None
