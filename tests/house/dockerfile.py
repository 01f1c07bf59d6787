"""Reads a Dockerfile and carries out its instructions in a folder: its own commands, without an engine.

What it cannot show is what only an engine does: the base image, the user, layers and the network.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.house.tree import REPO


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continuation lines joined."""

    word: str
    rest: str


@dataclass(frozen=True)
class Stage:
    """What stands between one FROM and the next."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]

    def of(self, word: str) -> list[str]:
        """The rest of each instruction with this word."""
        return [each.rest for each in self.instructions if each.word == word]


def instructions(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, in order.

    >>> instructions("# a comment" + chr(10) + "RUN one" + chr(92) + chr(10) + "  two")
    [Instruction(word='RUN', rest='one two')]
    """
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", kept)
    found = []
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        word, _, rest = line.partition(" ")
        found.append(Instruction(word.upper(), re.sub(r"\s+", " ", rest).strip()))
    return found


def stages(text: str) -> dict[str, Stage]:
    """The named stages of a Dockerfile."""
    found: dict[str, list[Instruction]] = {}
    bases: dict[str, str] = {}
    current: list[Instruction] = []
    for each in instructions(text):
        if each.word == "FROM":
            base, _, name = each.rest.partition(" AS ")
            bases[name], current = base, []
            found[name] = current
        else:
            current.append(each)
    return {name: Stage(name, bases[name], tuple(listed)) for name, listed in found.items()}


@dataclass
class Rehearsal:
    """A folder that stands for the image: absolute paths of the Dockerfile lie below it."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"

    def inside(self, text: str) -> str:
        """The text with the image's absolute paths moved below the folder."""
        return re.sub(r"(?<![\w./-])/(opt|build|var/lib)/?(?=[\w]|$)", rf"{self.root}/\1/", text)

    @property
    def folder(self) -> Path:
        """The working directory, below the folder."""
        return self.root / self.workdir.lstrip("/")

    def carry_out(self, each: Instruction) -> None:
        """One instruction that changes files or variables; the others are read by the tests."""
        if each.word == "WORKDIR":
            self.workdir = each.rest
            self.folder.mkdir(parents=True, exist_ok=True)
        elif each.word in {"ENV", "ARG"}:
            for pair in shlex.split(each.rest):
                name, _, value = pair.partition("=")
                self.variables[name] = self.inside(value).replace("$PATH", self.environment["PATH"])
        elif each.word == "COPY":
            self.copy(each.rest)
        elif each.word == "RUN":
            self.shell(each.rest)

    @property
    def environment(self) -> dict[str, str]:
        """What a command sees: the image's variables, and of this system's only what pip needs to install."""
        kept = ("PATH", "HOME", "TMPDIR", "LANG")
        own = {k: v for k, v in os.environ.items() if k in kept or k.startswith(("PIP_", "SSL_"))}
        proxies = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}
        return own | proxies | self.variables

    def copy(self, rest: str) -> None:
        """COPY from the repository; from another stage the files lie in place already."""
        *sources, target = rest.split()
        if sources[0].startswith("--from="):
            return
        for source in sources:
            origin, to = REPO / source, self.folder / target
            if origin.is_dir():
                shutil.copytree(origin, to, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                shutil.copy(origin, to)

    def shell(self, command: str) -> None:
        """RUN, in bash as the Dockerfile's SHELL says."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", self.inside(command)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"RUN {command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def command(rest: str) -> list[str]:
    """The words of a CMD in its JSON form, also behind HEALTHCHECK's options."""
    words = json.loads(rest[rest.index("[") :])
    assert isinstance(words, list)
    return [str(word) for word in words]
