"""Where the real photographs and pretrained weights are; a test that needs them says so and is skipped elsewhere."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("LIGHTTRAP_SHARED", Path(__file__).parents[2] / "shared"))


def shared(path: str) -> Path:
    """A file or folder of the shared data, or a skip that names what is missing."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"{path} is not at {SHARED}; LIGHTTRAP_SHARED says where the shared data is")
    return found
