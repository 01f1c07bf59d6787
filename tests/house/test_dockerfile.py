"""The Dockerfile: linted, and its own commands run in a clean virtual environment. No engine is needed."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.inference.session import has_gpu
from tests.house.dockerfile import Rehearsal, Stage, command, stages
from tests.house.tree import PROGRAMS, REPO, read
from tests.tiny_bundle import write_tiny_bundle

SERVING_INSTALL_LIMIT_BYTES = 1_500_000_000


@pytest.fixture(scope="module")
def plan() -> dict[str, Stage]:
    return stages(read("Dockerfile"))


def test_hadolint_finds_nothing() -> None:
    hadolint = PROGRAMS / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint has no package for this kind of processor")
    done = subprocess.run([hadolint, REPO / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_image_has_several_stages_and_ends_as_a_user_without_rights(plan: dict[str, Stage]) -> None:
    *_, last = plan.values()
    assert len(plan) > 1
    assert last.of("USER") == ["10001"]
    words = [each.word for each in last.instructions]
    assert words.index("USER") < words.index("CMD")
    assert "RUN" not in words[words.index("USER") :]


def test_the_base_is_chosen_by_a_build_argument(plan: dict[str, Stage]) -> None:
    assert re.search(r"^ARG BASE=python:3\.11-slim", read("Dockerfile"), re.MULTILINE)
    assert plan["base"].base == "${BASE}"
    assert {stage.base for stage in plan.values()} == {"${BASE}", "base"}


def test_no_secret_is_baked_into_the_image(plan: dict[str, Stage]) -> None:
    for stage in plan.values():
        for rest in (*stage.of("ENV"), *stage.of("ARG"), *stage.of("COPY")):
            assert not re.search(r"password|secret|token|key|credential|\.env\b", rest, re.IGNORECASE), rest


def test_only_what_the_image_copies_reaches_the_build(plan: dict[str, Stage]) -> None:
    let_in = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for stage in plan.values()
        for rest in stage.of("COPY")
        if "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == let_in
    assert "*" in read(".dockerignore").splitlines()


@pytest.fixture(scope="module")
def rehearsal(plan: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """The image's files, made by the Dockerfile's own commands. What is done about the user needs root: left out."""
    root = tmp_path_factory.mktemp("image")
    (root / "bin").mkdir()
    base_python = getattr(sys, "_base_executable", sys.executable)
    (root / "bin" / "python3").symlink_to(base_python)
    done = Rehearsal(root, {"PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"})
    (root / "opt").mkdir()
    for stage in plan.values():
        for each in stage.instructions:
            if "useradd" not in each.rest and not each.rest.startswith("chown"):
                done.carry_out(each)
    return done


def test_the_images_own_commands_install_a_serving_environment_without_torch(rehearsal: Rehearsal) -> None:
    python = rehearsal.root / "opt" / "venv" / "bin" / "python"
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0].lower() for line in listed.splitlines()[2:] if line.strip()}
    assert names & {"fastapi", "uvicorn", "sqlalchemy"} == {"fastapi", "uvicorn", "sqlalchemy"}
    assert names & {"onnxruntime", "onnxruntime-gpu"}
    assert not [name for name in names if name.startswith(("torch", "timm", "nvidia", "pytest"))]


def test_a_serving_install_is_under_one_and_a_half_gigabytes(rehearsal: Rehearsal) -> None:
    files = (path for path in (rehearsal.root / "opt" / "venv").rglob("*") if not path.is_symlink())
    assert sum(path.stat().st_size for path in files if path.is_file()) < SERVING_INSTALL_LIMIT_BYTES


@dataclass(frozen=True)
class Container:
    """The service as the image would start it."""

    environment: dict[str, str]
    service: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="module")
def container(
    rehearsal: Rehearsal, plan: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """The image's CMD, running on a free port with a bundle in its store."""
    store = tmp_path_factory.mktemp("store")
    write_tiny_bundle(store)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = tmp_path_factory.mktemp("data")
    changed = {
        "LIGHTTRAP_HOST": "127.0.0.1",
        "LIGHTTRAP_PORT": str(port),
        "LIGHTTRAP_DATA_DIR": str(data),
        "LIGHTTRAP_STORE": str(store),
        "LIGHTTRAP_TRUSTED_HOSTS": "moths.example.org",
    }
    environment = rehearsal.environment | changed
    (words,) = plan["serve"].of("CMD")
    log = data / "log"
    with log.open("w") as out:
        program = shutil.which(command(words)[0], path=environment["PATH"])
        assert program is not None
        service = subprocess.Popen(
            [program, *command(words)[1:]],
            cwd=rehearsal.folder,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        yield Container(environment, service, log)
        service.terminate()
        assert service.wait(60) in {0, -15}, log.read_text()


def test_the_images_health_check_passes_once_its_service_is_ready(
    plan: dict[str, Stage], container: Container
) -> None:
    (rest,) = plan["serve"].of("HEALTHCHECK")
    check = [sys.executable, *command(rest)[1:]]
    deadline = time.monotonic() + 120
    healthy = False
    while not healthy and container.service.poll() is None and time.monotonic() < deadline:
        done = subprocess.run(check, env=container.environment, capture_output=True, check=False)
        healthy = done.returncode == 0
        time.sleep(0 if healthy else 0.5)
    log = container.log.read_text()
    assert healthy, log
    assert has_gpu() or "cuda" not in log.lower(), "a machine without a GPU needs no word about it"


def test_the_images_health_check_fails_where_nothing_answers(
    rehearsal: Rehearsal, plan: dict[str, Stage]
) -> None:
    (rest,) = plan["serve"].of("HEALTHCHECK")
    with socket.socket() as unanswered:
        unanswered.bind(("127.0.0.1", 0))
        port = str(unanswered.getsockname()[1])
        done = subprocess.run(
            [sys.executable, *command(rest)[1:]],
            env=rehearsal.environment | {"LIGHTTRAP_PORT": port},
            capture_output=True,
            check=False,
        )
    assert done.returncode != 0
