"""Comparison -> tables of the report. Each holds what the plot beside it shows. Knows no page and no file."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from models.groups import GROUPS
from training.compare.differences import Versus, factor_of
from training.compare.methods import FIGURES, Comparison, Method
from training.compare.page import (
    NO_SPECIES,
    NO_TEST_PHOTOS,
    SYMBOLS,
    Cell,
    Table,
    difference_words,
    headings,
    number_cell,
    p_words,
    spread_words,
    text_cell,
)
from training.compare.record import RunResult
from training.compare.statistics import Difference

_DECIMAL = ("ece",)


def figure_words(comparison: Comparison, method: Method, figure: str) -> str:
    """A figure of the overall table in words: in percent, the calibration error as it is."""
    found = method.on_test(figure)
    if found is None:
        return absence(comparison, figure)
    if figure not in _DECIMAL:
        return spread_words(found)
    deviation = "" if found.deviation is None else f" ± {found.deviation:.3f}"
    return f"{found.mean:.3f}{deviation}"


def absence(comparison: Comparison, figure: str) -> str:
    """Why a group has no figure: it has no species, or none with test photos."""
    return NO_TEST_PHOTOS if figure in comparison.dataset.groups else NO_SPECIES


def marks_of(comparison: Comparison, method: Method) -> str:
    """What the overall table says of a method beside its name."""
    marks = []
    if method is comparison.best:
        marks.append("best on validation")
    if method.recipe == comparison.baseline:
        marks.append("baseline")
    return ", ".join(marks)


def overall_table(comparison: Comparison) -> Table:
    """Every figure of every method, best on validation first."""
    rows = [
        (
            text_cell(f"{number} {method.name}", marks_of(comparison, method)),
            number_cell(str(len(method.runs))),
            number_cell(f"{100 * method.validation_score:.1f}"),
            *(number_cell(figure_words(comparison, method, figure)) for figure in FIGURES),
        )
        for number, method in enumerate(comparison.methods, 1)
    ]
    names = "n|validation score|accuracy|macro F1|weighted F1|macro recall|ECE"
    return Table(
        "Test figures in percent, mean ± deviation over n seeds; ECE as a share",
        headings("method", names, *GROUPS),
        tuple(rows),
        csv="overall.csv",
    )


def versus_table(comparison: Comparison, rows: Sequence[Versus], caption: str, csv: str) -> Table:
    """Differences with intervals and corrected p-values, a row a method."""
    figures = ("accuracy", "macro_recall", *GROUPS)
    body = []
    for versus in rows:
        cells = [text_cell(versus.method.name), _seeds_cell(versus)]
        for figure in figures:
            found = versus.differences.get(figure)
            words = difference_words(found, absence(comparison, figure))
            cells.append(number_cell(words, _p_mark(found)))
        body.append(tuple(cells))
    columns = headings("method", "seeds compared|accuracy|macro recall", *GROUPS)
    return Table(caption, columns, tuple(body), csv=csv)


def _seeds_cell(versus: Versus) -> Cell:
    """How many seeds both have."""
    return number_cell(str(len(versus.seeds)) if versus.seeds else "none in common")


def _p_mark(found: Difference | None) -> str:
    return "" if found is None else f"p {p_words(found.p)}{'*' * (found.p < 0.05)}"


def ablation_table(comparison: Comparison, rows: Sequence[Versus]) -> Table:
    """What a recipe is without each of its factors: its figures, and the difference to the full recipe."""
    body = []
    for versus in rows:
        cells = [
            text_cell(f"{versus.reference.name} without {factor_of(versus.method)}"),
            number_cell(str(len(versus.method.runs))),
            number_cell(f"{100 * versus.method.validation_score:.1f}"),
            _seeds_cell(versus),
        ]
        for figure in ("accuracy", *GROUPS):
            found = versus.differences.get(figure)
            words = difference_words(found, absence(comparison, figure))
            cells.append(number_cell(words, _p_mark(found)))
        body.append(tuple(cells))
    return Table(
        "Difference to the full recipe in percentage points, 95% interval",
        headings("run", "n|validation score|seeds compared|accuracy", *GROUPS),
        tuple(body),
        csv="ablation.csv",
    )


def groups_table(comparison: Comparison, methods: Sequence[Method]) -> Table:
    """Recall of each group, with the interval over test photos."""
    body = []
    for method in methods:
        cells = [text_cell(method.name)]
        for group in GROUPS:
            words = figure_words(comparison, method, group)
            if group in method.intervals:
                low, high = method.intervals[group]
                words += f" ({100 * low:.0f}–{100 * high:.0f})"
            cells.append(number_cell(words))
        body.append(tuple(cells))
    return Table(
        "Mean recall in percent (95% interval over test photos)",
        headings("method", "", *GROUPS),
        tuple(body),
        csv="groups.csv",
        tall=True,
    )


def species_table(comparison: Comparison, methods: Sequence[Method]) -> Table:
    """Recall of each species, rarest first."""
    dataset = comparison.dataset
    support_C = Counter(methods[0].runs[0].test.labels)
    order = sorted(range(len(dataset.labels)), key=lambda place: (dataset.info.training_counts[place], place))
    body = []
    for place in order:
        group = dataset.groups[place]
        recalls = [method.species_recall[place] for method in methods]
        body.append(
            (
                text_cell(dataset.info.taxa[place].display_name),
                number_cell(str(dataset.info.training_counts[place])),
                Cell(f"{SYMBOLS[group]} {group}", group),
                number_cell(str(support_C[place])),
                *(number_cell(NO_TEST_PHOTOS if r is None else f"{100 * r:.0f}") for r in recalls),
            )
        )
    columns = (
        text_cell("species"),
        number_cell("training photos"),
        text_cell("group"),
        number_cell("test photos"),
        *(number_cell(method.name) for method in methods),
    )
    return Table(
        "Recall of each species in percent, rarest first", columns, tuple(body), csv="species.csv", tall=True
    )


def cost_table(methods: Sequence[Method]) -> Table:
    """What a run of each method took on each machine that it was run on, mean over its seeds there."""
    rows = [
        _cost_row(method.name, hardware, runs)
        for method in methods
        for hardware, runs in method.runs_by_machine.items()
    ]
    names = "n|training photos/s|minutes|finish minutes|peak memory, MiB|parameters, millions"
    return Table(
        "Cost of a run, mean over its n seeds on that hardware; memory of the process or of the GPU",
        headings("method|hardware", names),
        tuple(rows),
        csv="cost.csv",
        tall=len(rows) > 15,
    )


def _cost_row(name: str, hardware: str, runs: Sequence[RunResult]) -> tuple[Cell, ...]:
    def mean(figure: str) -> float:
        return fmean(getattr(run.cost, figure) for run in runs)

    shared = all(run.cost.shared_epochs for run in runs)
    return (
        text_cell(name, "epochs shared with another run" if shared else ""),
        text_cell(hardware),
        number_cell(str(len(runs))),
        number_cell(f"{mean('images_per_s'):,.1f}"),
        number_cell(f"{mean('minutes'):,.1f}"),
        number_cell(f"{mean('finish_minutes'):,.1f}"),
        number_cell(f"{mean('peak_memory_mib'):,.0f}", runs[0].memory_of),
        number_cell(f"{mean('num_parameters') / 1e6:.2f}"),
    )
