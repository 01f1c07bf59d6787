"""Whether a bundle names the species of a data set, and if not, which differ and what to do. Pure."""

from collections.abc import Sequence
from pathlib import Path

from models.card import ModelCard
from models.words import count_words, listed

_SHOWN = 3


def check_same_species(path: Path, card: ModelCard, labels: Sequence[str], data: Path) -> None:
    """Raises ValueError, which names the species, where the bundle at ``path`` and the ``data`` do not share a list."""
    own = [taxon.label for taxon in card.taxa]
    if own == list(labels):
        return
    known = set(labels)
    added = [each for each in card.prototypes if each.label not in known]
    if added and [label for label in own if card.prototype(label) is None] == list(labels):
        words = named([f"{each.label} ({count_words(each.num_photos, 'photo')})" for each in added])
        were, them = ("was", "it") if len(added) == 1 else ("were", "them")
        raise ValueError(
            f"{path}: {words} {were} added without training, and {data} has no photos of {them}, so nothing can be "
            f"measured of this version there. Evaluate version {added[0].base_version}, without what was added: its "
            "figures are those of all other species. What an added species is worth and takes from the others, "
            "`python -m training judge-added` measures"
        )
    more = [label for label in own if label not in known]
    fewer = [label for label in labels if label not in set(own)]
    differ = [f"the bundle alone has {named(more)}"] if more else []
    differ += [f"the data alone has {named(fewer)}"] if fewer else []
    how = "; ".join(differ) or "the same species stand in another order"
    raise ValueError(
        f"{path}: its species list is not that of {data}: {how}. Prepare the data with the photos and the table that "
        "the bundle was trained on"
    )


def named(labels: Sequence[str]) -> str:
    """The first few of some names, and how many more.

    >>> named(["a", "b"]), named(["a", "b", "c", "d", "e"])
    ('a and b', 'a, b, c and 2 more')
    """
    if len(labels) > _SHOWN:
        return f"{', '.join(labels[:_SHOWN])} and {len(labels) - _SHOWN:,} more"
    return listed(labels)
