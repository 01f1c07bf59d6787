"""Comparison -> tables of the report. Each holds what the plot beside it shows. Knows no page and no file."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from models.groups import GROUPS
from models.metrics import confusion_matrix
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

_DECIMAL = ("ece",)
_MOST_PAIRS = 15
_MOST_SPECIES = 12


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
        cells = [text_cell(versus.method.name)]
        for figure in figures:
            found = versus.differences.get(figure)
            words = difference_words(found, absence(comparison, figure))
            sure = found is not None and found.p < 0.05
            cells.append(number_cell(words, "" if found is None else f"p {p_words(found.p)}{'*' * sure}"))
        body.append(tuple(cells))
    return Table(caption, headings("method", "accuracy|macro recall", *GROUPS), tuple(body), csv=csv)


def ablation_table(comparison: Comparison, rows: Sequence[Versus]) -> Table:
    """What a recipe is without each of its factors: its figures, and the difference to the full recipe."""
    body = []
    for versus in rows:
        cells = [
            text_cell(f"{versus.reference.name} without {factor_of(versus.method)}"),
            number_cell(str(len(versus.method.runs))),
            number_cell(f"{100 * versus.method.validation_score:.1f}"),
        ]
        for figure in ("accuracy", *GROUPS):
            found = versus.differences.get(figure)
            words = difference_words(found, absence(comparison, figure))
            cells.append(number_cell(words, "" if found is None else f"p {p_words(found.p)}"))
        body.append(tuple(cells))
    return Table(
        "Difference to the full recipe in percentage points, 95% interval",
        headings("run", "n|validation score|accuracy", *GROUPS),
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


def confusions_table(comparison: Comparison, method: Method, reference: Method) -> Table:
    """The species that a method takes for others most often, and how often the baseline does: photos a run."""
    taxa, labels = comparison.dataset.info.taxa, comparison.dataset.labels
    names = {label: taxon.display_name for label, taxon in zip(labels, taxa, strict=True)}
    theirs = _pairs(reference)
    support = Counter(labels[place] for place in method.runs[0].test.labels)
    body = []
    for (true, predicted), num in sorted(_pairs(method).items(), key=lambda pair: (-pair[1], pair[0]))[
        :_MOST_PAIRS
    ]:
        body.append(
            (
                text_cell(f"{names[true]} → {names[predicted]}"),
                number_cell(f"{num:.1f}".removesuffix(".0")),
                number_cell(str(support[true])),
                number_cell(f"{theirs.get((true, predicted), 0.0):.1f}".removesuffix(".0")),
            )
        )
    columns = headings("true → named", f"{method.name}|test photos|{reference.name}")
    return Table("Most frequent confusions: photos, mean over the seeds", columns, tuple(body))


def _pairs(method: Method) -> dict[tuple[str, str], float]:
    found: Counter[tuple[str, str]] = Counter()
    for evaluation in method.test:
        for pair in evaluation.confusions:
            found[pair.true, pair.predicted] += pair.num_images
    return {pair: num / len(method.test) for pair, num in found.items()}


def family_tables(comparison: Comparison, method: Method) -> tuple[Table, ...]:
    """The confusion matrix of families, and of the species within each family that has several tested ones."""
    taxa = comparison.dataset.info.taxa
    families = sorted({taxon.family for taxon in taxa if taxon.family})
    if not families:
        return ()
    matrix_CC = _matrix(method, len(taxa))
    names = [*families, *(["family not given"] if any(not taxon.family for taxon in taxa) else [])]
    member_FC = np.array([[(taxon.family or "family not given") == name for taxon in taxa] for name in names])
    tables = [_matrix_table("Families: share of a row's test photos", names, member_FC, matrix_CC)]
    for name, member_C in zip(names, member_FC, strict=True):
        if name in families:
            tables += _family_table(comparison, name, member_C, matrix_CC)
    return tuple(tables)


def _matrix(method: Method, num_classes: int) -> np.ndarray:
    parts = [
        confusion_matrix(np.array(run.test.labels), np.array(run.test.predicted), num_classes)
        for run in method.runs
    ]
    return np.mean(parts, axis=0)  # type: ignore[no-any-return]


def _family_table(
    comparison: Comparison, family: str, member_C: np.ndarray, matrix_CC: np.ndarray
) -> list[Table]:
    """Of a large family the species that are exchanged most."""
    within_CC = matrix_CC * member_C[:, None] * member_C
    exchanged_C = within_CC.sum(axis=0) + within_CC.sum(axis=1) - 2 * np.diagonal(within_CC)
    places = [c for c in np.argsort(-exchanged_C, kind="stable") if exchanged_C[c] > 0][:_MOST_SPECIES]
    if len(places) < 2:
        return []
    num = int(member_C.sum())
    names = [comparison.dataset.info.taxa[place].display_name for place in sorted(places)]
    member_SC = np.eye(len(member_C), dtype=bool)[sorted(places)]
    few = "" if len(places) == num else f", the {len(places)} of {num} species that are exchanged most"
    return [_matrix_table(f"{family}{few}: share of a row's test photos", names, member_SC, matrix_CC)]


def _matrix_table(caption: str, names: Sequence[str], member_SC: np.ndarray, matrix_CC: np.ndarray) -> Table:
    counts_SS = member_SC.astype(float) @ matrix_CC @ member_SC.T.astype(float)
    photos_S = member_SC.astype(float) @ matrix_CC.sum(axis=1)
    rows = []
    for name, counts_S, photos in zip(names, counts_SS, photos_S, strict=True):
        shares = counts_S / photos if photos else np.zeros(len(names))
        cells = tuple(Cell(_share_words(share), "shade", shade=round(float(share), 3)) for share in shares)
        rows.append((text_cell(name), number_cell(f"{photos:.0f}"), *cells))
    columns = (text_cell("true"), number_cell("photos"), *(text_cell(name) for name in names))
    return Table(caption, columns, tuple(rows), matrix=True)


def _share_words(share: float) -> str:
    if share == 0:
        return ""
    return "<1" if share < 0.01 else f"{100 * share:.0f}"


def cost_table(methods: Sequence[Method]) -> Table:
    """What a run of each method took, mean over its seeds."""
    rows = [
        (
            text_cell(
                method.name,
                "epochs shared with another run"
                if all(run.cost.shared_epochs for run in method.runs)
                else "",
            ),
            number_cell(f"{method.mean_cost('images_per_s'):,.1f}"),
            number_cell(f"{method.mean_cost('minutes'):,.1f}"),
            number_cell(f"{method.mean_cost('finish_minutes'):,.1f}"),
            number_cell(f"{method.mean_cost('peak_memory_mib'):,.0f}"),
            number_cell(f"{method.mean_cost('num_parameters') / 1e6:.2f}"),
        )
        for method in methods
    ]
    names = "training photos/s|minutes|finish minutes|peak memory, MiB|parameters, millions"
    return Table(
        "Cost of a run, mean over its seeds",
        headings("method", names),
        tuple(rows),
        csv="cost.csv",
        tall=len(rows) > 15,
    )
