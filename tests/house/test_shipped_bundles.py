"""What ships in models/store says nothing of the machine that made it."""

import re
from pathlib import Path

import pytest

from tests.house.tree import REPO

SHIPPED = sorted((REPO / "models" / "store").glob("*/*/model.onnx"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_no_file_of_a_shipped_bundle_names_a_folder_of_whoever_trained_it(path: Path) -> None:
    for file in path.parent.iterdir():
        found = re.search(rb"(?:/(?:home|work|root|Users)/[\w.-]+|stack_trace)", file.read_bytes())
        assert found is None, f"{file.name}: {found}"
