"""Taxa -> names as they are set on a page. Knows no request and no template."""

from collections.abc import Mapping, Sequence

from app.web.views import TaxonName
from models.taxonomy import Taxon

ITALIC_RANKS = {"species", "aggregate", "genus", None}
"""Ranks whose scientific names are set in italics; families are upright (ICZN, general recommendation 6)."""


def taxon_name(taxon: Taxon) -> TaxonName:
    """The name of a taxon. A label without a scientific name is shown as it is, upright.

    >>> taxon_name(Taxon(label="Erebidae", scientific_name="Erebidae", taxon_rank="family"))
    TaxonName(text='Erebidae', italic=False, common=None)
    """
    italic = taxon.scientific_name is not None and taxon.taxon_rank in ITALIC_RANKS
    return TaxonName(taxon.display_name, italic, taxon.vernacular_name)


def names_by_label(taxa: Sequence[Taxon]) -> dict[str, TaxonName]:
    """Name of each label of a species list."""
    return {taxon.label: taxon_name(taxon) for taxon in taxa}


def names_of(labels: Sequence[str], known: Mapping[str, TaxonName]) -> tuple[TaxonName, ...]:
    """Names of labels; a label that is not in the list (an older version's) stands for itself."""
    return tuple(known.get(label) or TaxonName(label, italic=False) for label in labels)
