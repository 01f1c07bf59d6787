"""The repository as these tests see it: its files, and the tools beside the running interpreter."""

import subprocess
import sys
from functools import cache
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent


def read(path: str) -> str:
    """The text of a file of the repository."""
    return (REPO / path).read_text(encoding="utf-8")


@cache
def tracked_texts() -> dict[str, str]:
    """Every text file of the repository, or of the folder where there is no git, by its path."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        check=False,
    )
    assert listed.returncode == 0, "these tests read the repository's list of files: run them in a git clone"
    texts: dict[str, str] = {}
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = REPO / name
        data = path.read_bytes() if path.is_file() else b""
        if b"\0" not in data[:8192]:
            texts[name] = data.decode("utf-8", errors="replace")
    return texts
