"""The two commands: what they do, that CI runs just them, and that what is missing is said in a sentence."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import REPO, read


def make(*words: str, folder: Path = REPO) -> str:
    """What make would run, without running it."""
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "--no-print-directory", *words],
        cwd=folder,
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ci_runs_exactly_make_test() -> None:
    script = (REPO / ".ci" / "run").read_text(encoding="utf-8")
    assert [line for line in script.splitlines() if "make" in line and not line.startswith("#")] == [
        "exec make test"
    ]
    assert os.access(REPO / ".ci" / "run", os.X_OK)


def test_make_run_installs_serving_only_and_serves() -> None:
    commands = make("run")
    assert "--only-deps '.'" in commands
    assert "--constraint constraints.txt" in commands
    assert "training" not in commands
    assert commands.rstrip().endswith("-m app serve")


def test_make_run_can_add_the_cuda_libraries() -> None:
    assert "--only-deps '.[gpu]'" in make("run", "EXTRAS=gpu")


def test_make_test_installs_everything_then_checks_then_tests() -> None:
    commands = make("test")
    assert "--only-deps '.[training,dev]'" in commands
    order = [commands.index(word) for word in ("--only-deps", "ruff check", "mypy --strict", "-m pytest")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    "tool", ["ruff check .", "ruff format --check .", "mypy --strict", "lint-imports", "deptry .", "vulture"]
)
def test_make_check_runs_every_tool(tool: str) -> None:
    assert tool in make("check")


def test_the_interpreter_can_be_chosen() -> None:
    assert "python3.12 -m venv --clear .venv" in make("run", "PYTHON=python3.12")


def test_a_second_install_is_only_made_when_the_versions_change(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(read(name))
    stamp = tmp_path / ".venv" / ".installed"
    stamp.parent.mkdir()
    stamp.touch()
    again = ["make", "--question", "--no-print-directory", ".venv/.installed"]
    assert subprocess.run(again, cwd=tmp_path, check=False).returncode == 0
    os.utime(stamp, (0, 0))
    assert subprocess.run(again, cwd=tmp_path, check=False).returncode == 1


def test_every_target_says_what_it_is_for_and_help_lists_it() -> None:
    text = read("Makefile")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    done = subprocess.run(["make", "help"], cwd=REPO, capture_output=True, text=True, check=True)
    for target in phony.split():
        assert re.search(rf"make {target}\s+\S", done.stdout), target


def programs(folder: Path, **scripts: str) -> dict[str, str]:
    """An environment whose PATH holds these programs and nothing else."""
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


def test_a_system_without_a_browser_is_told_what_to_install(tmp_path: Path) -> None:
    environment = programs(tmp_path, id="echo 1000", initdb="true")
    done = subprocess.run(
        ["/bin/sh", REPO / ".ci" / "system"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "sudo apt-get install chromium" in done.stderr


def test_a_system_that_has_what_tests_need_is_left_alone(tmp_path: Path) -> None:
    environment = programs(tmp_path, chromium="true", initdb="true", **{"apt-get": "exit 9"})
    done = subprocess.run(["/bin/sh", REPO / ".ci" / "system"], env=environment, check=False)
    assert done.returncode == 0


def test_root_on_debian_gets_what_is_missing(tmp_path: Path) -> None:
    environment = programs(
        tmp_path, id="echo 0", initdb="true", **{"apt-get": f'echo "$@" >> {tmp_path}/asked'}
    )
    done = subprocess.run(["/bin/sh", REPO / ".ci" / "system"], env=environment, check=False)
    assert done.returncode == 0
    assert (tmp_path / "asked").read_text().splitlines()[-1].endswith(" chromium")
