"""The species that documents, help and form add as an example can be added to every model that ships."""

import re
from collections.abc import Iterator

import pytest

from models.adding import species_taxon
from models.bundle import read as read_bundle
from tests.house.tree import REPO, read

PLACES = (
    "docs/api.md",
    "docs/models.md",
    "app/cli/adding_species.py",
    "app/web/adding_species.py",
    "templates/admin_add_species.html",
)
NAME = re.compile(r"(?:name=|--name |placeholder=|such as )\"?([A-Z][a-z]+ [a-z]+)\b")
FAMILY = re.compile(r"family[= ]([A-Z][a-z]+)")
SHIPPED = sorted((REPO / "models" / "store").glob("*/*/card.json"))


def examples(place: str) -> Iterator[tuple[str, str | None]]:
    """Names of the species that are added there, each with the family that the same line gives."""
    for line in read(place).splitlines():
        family = FAMILY.search(line)
        yield from ((name, family and family[1]) for name in NAME.findall(line))


@pytest.mark.parametrize("place", PLACES)
def test_the_species_that_is_added_as_an_example_is_in_no_shipped_list(place: str) -> None:
    found = list(examples(place))
    assert found, f"{place} has no example any more"
    assert SHIPPED
    for card in SHIPPED:
        taxa = read_bundle(card.parent).card.taxa
        for name, family in found:
            species_taxon(taxa, name, family=family)


def test_every_place_names_the_same_species() -> None:
    assert len({name for place in PLACES for name, _ in examples(place)}) == 1
