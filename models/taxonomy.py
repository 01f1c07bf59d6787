"""Taxa and their lineage. Knows names and ranks; knows nothing of probabilities or files."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Rank = Literal["species", "aggregate", "genus", "family"]
"""Ranks a label can have. An aggregate is a group of species that photos cannot tell apart."""

ROLL_UP_RANKS: tuple[Literal["genus", "family"], ...] = ("genus", "family")
"""Ranks above a label that a decision may fall back to, lowest first."""


class Taxon(BaseModel):
    """One label of a species list. ``label`` is always there; the rest where the bundle has a taxonomy.

    Field names are Darwin Core terms in snake_case.

    >>> Taxon(label="aglia_tau", scientific_name="Aglia tau", genus="Aglia").display_name
    'Aglia tau'
    >>> Taxon(label="aglia_tau").display_name
    'aglia_tau'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Annotated[str, Field(min_length=1, max_length=200)]
    scientific_name: str | None = None
    taxon_rank: Rank | None = None
    taxon_id: Annotated[str | None, Field(pattern=r"^gbif:\d+$")] = None
    vernacular_name: str | None = None
    genus: str | None = None
    family: str | None = None

    @property
    def display_name(self) -> str:
        """Scientific name, or the label where there is none."""
        return self.scientific_name or self.label

    def ancestor(self, rank: Literal["genus", "family"]) -> str | None:
        """Name of this taxon's own ancestor at ``rank``, or None where the bundle does not say.

        >>> Taxon(label="x", genus="Aglia").ancestor("family") is None
        True
        """
        return self.genus if rank == "genus" else self.family
