"""The README's commands, run as they stand there."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import bundle
from tests.drawn_photos import photo
from tests.house.readme import SHOWN, blocks, example_request
from tests.house.tree import REPO, read
from tests.serving import Server


def shape(value: Any) -> Any:
    """Names of the fields, all the way down; lists by their first entry."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


def test_the_two_commands_are_the_ones_that_ci_and_the_makefile_know() -> None:
    assert [block for block in blocks("sh") if block.startswith("make")] == ["make run\n", "make test\n"]
    assert read(".ci/run").rstrip().endswith("make test")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_rest_example_answers_what_the_readme_shows(server: Server, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the README's example needs curl")
    answer = example_request(server.url, tmp_path)
    (shown,) = (json.loads(block) for block in blocks("json"))
    answer["prediction_set"]["taxa"] = answer["prediction_set"]["taxa"][:SHOWN]
    for document in (answer, shown):
        decision = document["decision"]
        for part in (decision.pop("taxon"), decision.pop("unknown"), document.pop("explanation")):
            assert part is None or isinstance(part, dict)  # by what the model knows
        document["prediction_set"].pop("macro_coverage_interval")  # a shipped model may have one
        for prediction in document["predictions"]:
            for exchanged in ("confused_with", "named_as", "given_to"):
                assert isinstance(prediction["evidence"].pop(exchanged), list)
    assert shape(shown) == shape(answer)
    assert len(shown["predictions"]) == len(answer["predictions"]) == SHOWN


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_lines_that_train_your_own_make_a_model_that_the_service_deploys(
    new_server: Callable[..., Server], tmp_path: Path
) -> None:
    (lines,) = (block for block in blocks("sh") if "-m training" in block)
    for species in range(3):
        folder = tmp_path / "photos" / f"moth_{species}"
        folder.mkdir(parents=True)
        for number in range(8):
            drawn = photo("JPEG", kind=species, seed=number, size=(96, 72))
            (folder / f"{number}.jpg").write_bytes(drawn)
    quick, count = re.subn(r"--recipe \w+", "--recipe debug", lines)
    assert count == 1
    own = f'python() {{ "{sys.executable}" "$@"; }}'
    done = subprocess.run(
        ["sh", "-e", "-c", quick.replace('export PATH="$PWD/.venv-dev/bin:$PATH"', own)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    made = bundle.read(tmp_path / "models" / "store" / "my-moths" / "1.0.0")
    assert made.card.num_classes == 3
    server = new_server(STORE=str(tmp_path / "models" / "store"), DEFAULT_MODEL="my-moths").start()
    assert example_request(server.url, tmp_path)["model"]["name"] == "my-moths"
