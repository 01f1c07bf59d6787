"""The documents say what the code does: generated tables are current, links lead somewhere, names exist."""

import re
from pathlib import Path

import pytest

from app.settings import PREFIX, Settings
from tests.house.generated import BLOCK, BLOCKS, documents, renewed
from tests.house.tree import REPO, read

DOCUMENTS = documents()
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def anchors(text: str) -> set[str]:
    """Anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_the_tables_that_the_code_writes_are_current(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == renewed(text), "run: python -m tests.house.generated"


def test_every_setting_problem_route_command_and_recipe_is_documented() -> None:
    found = [match[2] for path in DOCUMENTS for match in BLOCK.finditer(path.read_text(encoding="utf-8"))]
    assert set(found) == set(BLOCKS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in LINK.findall(text):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = path if not file else path.parent / file
        assert found.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{target} has no such heading"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_shipped_version_that_is_named_by_its_path_is_there(path: Path) -> None:
    for place in re.findall(r"models/store/european-moths[a-z-]*/[\d.]*\d", path.read_text(encoding="utf-8")):
        assert (REPO / place).is_dir(), f"{place} is not shipped any more"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {"LIGHTTRAP_SHARED"}
    named = set(re.findall(rf"{PREFIX}[A-Z_]+[A-Z]", path.read_text(encoding="utf-8")))
    assert named <= known | {"LIGHTTRAP_PUBLISH", "LIGHTTRAP_PUBLISH_GPU"}


def test_every_target_of_make_is_documented() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", read("Makefile"), re.MULTILINE)
    told = read("README.md") + read("docs/development.md")
    for target in phony.split():
        assert f"make {target}" in told, target


def test_every_command_that_is_named_exists() -> None:
    commands = {
        command
        for block in ("app commands", "training commands")
        for command in re.findall(r"`python -m ((?:app|training)[a-z -]*)`", BLOCKS[block]())
    }
    for path in DOCUMENTS:
        for program, words in re.findall(r"python -m (app|training)((?: [a-z-]+)+)", path.read_text("utf-8")):
            asked = f"{program}{words}"
            assert any(asked.startswith(command) for command in commands), f"{name_of(path)}: {asked}"
