"""A bundle whose species are not those of the data is refused by name, and what to do is said."""

from pathlib import Path

import pytest

from models import bundle
from models.bundle import Bundle
from tests.models.test_adding import NOVA, base, made
from tests.tiny_bundle import TAXA
from training.same_species import check_same_species

LABELS = tuple(taxon.label for taxon in TAXA)
DATA = Path("data/drawn")

__all__ = ["base"]


def refused(found: Bundle, labels: tuple[str, ...]) -> str:
    with pytest.raises(ValueError, match="data/drawn") as caught:
        check_same_species(found.path, found.card, labels, DATA)
    return str(caught.value)


def test_the_species_that_was_added_is_named_with_the_version_to_judge_instead(
    base: Bundle, tmp_path: Path
) -> None:
    added = made(base).write(tmp_path / "1.1.0")
    words = refused(added, LABELS)
    assert "nova_alba (5 photos) was added without training, and data/drawn has no photos of it" in words
    assert "Evaluate version 1.0.0" in words
    assert "judge-added" in words
    check_same_species(base.path, base.card, LABELS, DATA)
    check_same_species(added.path, added.card, (*LABELS, NOVA.label), DATA)


def test_two_that_were_added_lead_to_the_version_before_both(base: Bundle, tmp_path: Path) -> None:
    first = made(base).write(tmp_path / "1.1.0")
    second = made(
        first,
        NOVA.model_copy(update={"label": "nova_nigra", "scientific_name": "Nova nigra"}),
        count=1,
        version="1.2.0",
    ).write(tmp_path / "1.2.0")
    words = refused(bundle.read(second.path), LABELS)
    assert "nova_alba (5 photos) and nova_nigra (1 photo) were added" in words
    assert "Evaluate version 1.0.0" in words


def test_species_that_only_one_of_them_has_and_another_order_are_named(base: Bundle) -> None:
    words = refused(base, (*LABELS[:-1], "stranger"))
    assert f"the bundle alone has {LABELS[-1]}; the data alone has stranger" in words
    assert "stand in another order" in refused(base, LABELS[::-1])
