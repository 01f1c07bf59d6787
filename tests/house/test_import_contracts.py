"""The direction of the arrows is enforced: a planted wrong import breaks the contract that forbids it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import PROGRAMS, REPO

PLANTED = [
    ("app/services/planted.py", "import training.config", "Two programs meet only in models/"),
    ("training/planted.py", "import app.settings", "Two programs meet only in models/"),
    ("models/planted.py", "import app.settings", "Two programs meet only in models/"),
    ("app/services/planted.py", "import app.web", "The service, top to bottom"),
    ("app/db/planted.py", "import app.inference", "The service, top to bottom"),
    ("app/helpers.py", "", "The service, top to bottom"),
    ("models/planted.py", "import torch", "The contract is light"),
    ("models/planted.py", "import onnxruntime", "The contract is light"),
    ("app/web/planted.py", "import torch", "The service carries no torch"),
    ("app/inference/planted.py", "import fastapi", "Inference and training know no HTTP and no database"),
    ("training/planted.py", "import sqlalchemy", "Inference and training know no HTTP and no database"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the three packages and their contracts."""
    copy = tmp_path_factory.mktemp("tree")
    for package in ("app", "training", "models"):
        ignored = shutil.ignore_patterns("__pycache__", "*.onnx", "static")
        shutil.copytree(REPO / package, copy / package, ignore=ignored)
    shutil.copy(REPO / "pyproject.toml", copy)
    return copy


def contracts(tree: Path) -> dict[str, bool]:
    """Name of each contract -> whether it is kept."""
    done = subprocess.run(
        [PROGRAMS / "lint-imports", "--no-cache"], cwd=tree, capture_output=True, text=True, check=False
    )
    verdicts = [line.strip() for line in done.stdout.splitlines()]
    found = {
        line.removesuffix(" KEPT").removesuffix(" BROKEN"): line.endswith(" KEPT")
        for line in verdicts
        if line.endswith((" KEPT", " BROKEN"))
    }
    assert found, done.stdout + done.stderr
    return found


def test_the_tree_keeps_every_contract(tree: Path) -> None:
    assert all(contracts(tree).values())


@pytest.mark.parametrize(("path", "line", "broken"), PLANTED)
def test_a_planted_import_breaks_its_contract(tree: Path, path: str, line: str, broken: str) -> None:
    planted = tree / path
    planted.write_text(f'"""Planted."""\n{line}\n')
    try:
        assert contracts(tree)[broken] is False
    finally:
        planted.unlink()
