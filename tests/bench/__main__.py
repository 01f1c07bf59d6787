"""Every benchmark of this folder, one after the other: ``python -m tests.bench``."""

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run each in a process of its own; the number of those that failed."""
    modules = sorted(
        path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")
    )
    commands = [[sys.executable, "-m", f"tests.bench.{module}"] for module in modules]
    return sum(subprocess.run(command, check=False).returncode != 0 for command in commands)


if __name__ == "__main__":
    sys.exit(main())
