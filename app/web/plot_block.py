"""What a block of ``/performance`` is: a plot, words, and a table that says the same. Values only."""

from dataclasses import dataclass

from app.web.plots import Figure
from app.web.views import TaxonName
from models.evaluation import Scope
from models.groups import Group


@dataclass(frozen=True)
class Cell:
    """One cell of a table: text, a name, a group, or a change that is a gain or a loss."""

    text: str
    name: TaxonName | None = None
    group: Group | None = None
    kind: str = ""


def scope_cell(scope: Scope) -> Cell:
    """A group, or all photos together."""
    return Cell("all") if scope == "all" else Cell(scope, group=scope)


@dataclass(frozen=True)
class PlotBlock:
    """A plot with the words before it and the table beside it; a block without rows is its words alone."""

    id: str
    heading: str
    text: str
    figure: Figure | None
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    tall: bool = False
    wide: bool = False
