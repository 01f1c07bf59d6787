"""A model's species list -> the rows of ``/species``: searched, filtered and sorted. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from app.web.formatting import added_words, estimate_words, group_order
from app.web.naming import names_by_label, names_of
from app.web.views import ModelChoice, TaxonName
from models.card import ModelCard
from models.groups import Group
from models.metrics import Evaluation, SpeciesMetrics
from models.prototypes import Prototype
from models.taxonomy import Taxon
from models.words import count_words

Sort = Literal["name", "group", "count", "recall"]
Order = Literal["asc", "desc"]
GroupFilter = Literal["all", "head", "middle", "tail"]
COLUMNS: tuple[tuple[str, Sort | None, bool], ...] = (
    ("Species", "name", False),
    ("Group", "group", False),
    ("Training images", "count", True),
    ("Recall (95% interval)", "recall", False),
    ("Test photos", None, True),
    ("Often confused with", None, False),
)


@dataclass(frozen=True)
class SpeciesQuery:
    """What of the list is asked for, and in which order. Every combination has an address."""

    model: str
    q: str = ""
    group: GroupFilter = "all"
    sort: Sort = "name"
    order: Order = "asc"

    def url(self, sort: Sort, order: Order) -> str:
        """Address of the same list in another order; what is at its default is left out."""
        asked = {"model": self.model, "q": self.q, "group": self.group, "sort": sort, "order": order}
        silent = {"q": "", "group": "all", "sort": "name", "order": "asc"}
        return "/species?" + urlencode(
            {key: value for key, value in asked.items() if silent.get(key) != value}
        )


@dataclass(frozen=True)
class SpeciesRow:
    """One species, with how well it is found. ``band`` is the interval of the recall, in percent."""

    name: TaxonName
    family: str | None
    group: Group
    training_count: int
    recall: str
    recall_percent: float | None
    band: tuple[float, float] | None
    num_test_images: int
    confused_with: tuple[TaxonName, ...]


@dataclass(frozen=True)
class Column:
    """Head of a column: where a click leads (None: not sortable), and how the rows are sorted by it now."""

    text: str
    url: str | None
    aria_sort: str | None
    numeric: bool


@dataclass(frozen=True)
class SpeciesView:
    """``/species``: what a model knows."""

    template: ClassVar[str] = "species.html"
    title: ClassVar[str] = "Species"

    models: tuple[ModelChoice, ...]
    query: SpeciesQuery
    model_title: str
    version: str
    columns: tuple[Column, ...]
    rows: tuple[SpeciesRow, ...]
    summary: str
    group_rule: str
    tested_on: str


def species_view(
    card: ModelCard, evaluation: Evaluation, query: SpeciesQuery, models: tuple[ModelChoice, ...]
) -> SpeciesView:
    """The list of one deployed model as it was asked for."""
    pairs = [
        (taxon, metrics)
        for taxon, metrics in zip(card.taxa, evaluation.species, strict=True)
        if query.group in ("all", metrics.group) and _matches(taxon, query.q)
    ]
    names = names_by_label(card.taxa)
    shown = count_words(len(pairs), "species", "species")
    return SpeciesView(
        models=models,
        query=query,
        model_title=card.title,
        version=card.version,
        columns=tuple(_column(query, *column) for column in COLUMNS),
        rows=tuple(
            _row(taxon, metrics, names, card.prototype(taxon.label))
            for taxon, metrics in _sorted(pairs, query)
        ),
        summary=shown if len(pairs) == card.num_classes else f"{shown} of {card.num_classes}",
        group_rule=card.group_rule.sentence(),
        tested_on=f"{count_words(evaluation.num_test_images, 'photo')} of the split {evaluation.split!r}",
    )


def _matches(taxon: Taxon, q: str) -> bool:
    """Whether every word of the search is in one of the taxon's names."""
    names = (taxon.label, taxon.scientific_name, taxon.vernacular_name, taxon.genus, taxon.family)
    haystack = " ".join(name for name in names if name).casefold()
    return all(word in haystack for word in q.casefold().split())


def _sorted(
    pairs: list[tuple[Taxon, SpeciesMetrics]], query: SpeciesQuery
) -> list[tuple[Taxon, SpeciesMetrics]]:
    """By the asked column; equal ones by name. What was not measured stands last in both directions."""
    keys: dict[Sort, Callable[[Taxon, SpeciesMetrics], Any]] = {
        "name": lambda taxon, _: taxon.display_name.casefold(),
        "group": lambda _, metrics: group_order(metrics.group),
        "count": lambda _, metrics: metrics.training_count,
        "recall": lambda _, metrics: metrics.recall.value if metrics.recall else 0.0,
    }
    key = keys[query.sort]
    by_name = sorted(pairs, key=lambda pair: pair[0].display_name.casefold())
    ordered = sorted(by_name, key=lambda pair: key(*pair), reverse=query.order == "desc")
    if query.sort != "recall":
        return ordered
    return sorted(ordered, key=lambda pair: pair[1].recall is None)


def _column(query: SpeciesQuery, text: str, sort: Sort | None, numeric: bool) -> Column:
    if sort is None:
        return Column(text, None, None, numeric)
    if sort != query.sort:
        return Column(text, query.url(sort, "asc" if sort in ("name", "group") else "desc"), None, numeric)
    turned: Order = "desc" if query.order == "asc" else "asc"
    return Column(text, query.url(sort, turned), f"{query.order}ending", numeric)


def _row(
    taxon: Taxon, metrics: SpeciesMetrics, names: dict[str, TaxonName], prototype: Prototype | None
) -> SpeciesRow:
    recall = metrics.recall
    return SpeciesRow(
        name=names[taxon.label],
        family=taxon.family,
        group=metrics.group,
        training_count=metrics.training_count,
        recall=estimate_words(recall) if prototype is None else added_words(prototype.num_photos),
        recall_percent=100 * recall.value if recall else None,
        band=(100 * recall.interval[0], 100 * recall.interval[1]) if recall else None,
        num_test_images=metrics.num_test_images,
        confused_with=names_of(metrics.confused_with, names),
    )
