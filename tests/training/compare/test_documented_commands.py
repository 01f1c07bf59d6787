"""A command of the results can be copied alone: it prepares what it learns from, and names recipes that there are."""

import re
from pathlib import Path

import pytest

from training.recipes import RECIPES

RESULTS = Path(__file__).resolve().parents[3] / "docs" / "results.md"
BLOCKS = [
    re.sub(r"\s*\\\n\s*", " ", block).strip()
    for block in re.findall(r"(?:^    .*\n)+", RESULTS.read_text(encoding="utf-8"), re.MULTILINE)
]
EXPORTS = [block for block in BLOCKS if "python -m training export" in block]


def test_the_best_networks_are_documented() -> None:
    assert len(EXPORTS) == 4


@pytest.mark.parametrize(
    "block", EXPORTS, ids=lambda block: block.partition("--name ")[2].partition(" --out")[0]
)
def test_a_bundle_is_made_from_nothing_by_one_line(block: str) -> None:
    assert "\n" not in block
    made: set[str] = set()
    for command in block.split(" && "):
        options = dict(re.findall(r"--(data|out|recipe) (\S+)", command))
        program = command.removeprefix("python -m training ").split()[0]
        assert program in {"prepare", "train", "crossval", "export"}
        needed = options.get("data") or (command.split()[4] if program == "export" else None)
        assert needed is None or needed in made, f"{needed} is made by another block"
        assert options.get("recipe", "baseline") in RECIPES
        made.add(options["out"])
