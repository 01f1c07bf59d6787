"""The README's code blocks; ``python -m tests.house.readme`` asks the shipped model for its example anew."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.drawn_photos import photo
from tests.house.tree import REPO, read
from tests.serving import Server

SHOWN = 2
"""How many entries of a list the README shows."""


def blocks(language: str) -> list[str]:
    """The README's code blocks in one language."""
    return re.findall(rf"```{language}\n(.*?)```", read("README.md"), re.DOTALL)


def example_request(url: str, folder: Path) -> dict[str, Any]:
    """Run the README's curl command against a service, with a drawn photo as its file."""
    (command,) = (block for block in blocks("sh") if block.startswith("curl"))
    (folder / "moth.jpg").write_bytes(photo("JPEG", kind=1, size=(800, 600)))
    done = subprocess.run(
        ["sh", "-c", command.replace("http://localhost:8000", url)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def shortened(value: Any) -> Any:
    """Long lists cut to their first entries.

    >>> shortened({"taxa": [1, 2, 3]})
    {'taxa': [1, 2]}
    """
    if isinstance(value, dict):
        return {name: shortened(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shortened(inner) for inner in value[:SHOWN]]
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    """Write the example answer anew."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"DATA_DIR": folder, "STORE": str(REPO / "models" / "store"), "PROVIDER": "cpu"}
        server = Server(settings, Path(folder) / "log").start()
        try:
            answer = shortened(example_request(server.url, Path(folder)))
        finally:
            server.kill()
    text = json.dumps(answer, indent=2, ensure_ascii=False)
    document = re.sub(
        r"```json\n.*?```", lambda _: f"```json\n{text}\n```", read("README.md"), flags=re.DOTALL
    )
    (REPO / "README.md").write_text(document, encoding="utf-8")
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
