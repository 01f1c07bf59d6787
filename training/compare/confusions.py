"""What a method takes for what: its most frequent confusions, and matrices of families and of the species within them.

Legend: C classes, S rows of a matrix, each one class or several, F families.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.metrics import confusion_matrix
from training.compare.methods import Comparison, Method
from training.compare.page import Cell, Table, headings, number_cell, text_cell

_MOST_PAIRS = 15
_MOST_SPECIES = 12
_NOT_GIVEN = "family not given"


def confusions_table(comparison: Comparison, method: Method, reference: Method | None) -> Table:
    """The species that a method takes for others most often, and how often ``reference`` does: photos a run."""
    taxa, labels = comparison.dataset.info.taxa, comparison.dataset.labels
    names = {label: taxon.display_name for label, taxon in zip(labels, taxa, strict=True)}
    support = Counter(labels[place] for place in method.runs[0].test.labels)
    ours = sorted(_pairs(method).items(), key=lambda pair: (-pair[1], pair[0]))
    often = [pair for pair in ours if pair[1] > 1] or ours  # single photos would come by the alphabet
    shown = [_pairs(one) for one in (method, reference) if one is not None]
    rows = tuple(
        (
            text_cell(f"{names[true]} → {names[predicted]}"),
            number_cell(str(support[true])),
            *(number_cell(f"{pairs.get((true, predicted), 0.0):.1f}".removesuffix(".0")) for pairs in shown),
        )
        for (true, predicted), _ in often[:_MOST_PAIRS]
    )
    names_of_columns = "|".join(["test photos", method.name, *([reference.name] if reference else [])])
    columns = headings("true → named", names_of_columns)
    return Table("Most frequent confusions: photos, mean over the seeds", columns, rows)


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
    names = [*families, *([_NOT_GIVEN] if any(not taxon.family for taxon in taxa) else [])]
    member_FC = np.array([[(taxon.family or _NOT_GIVEN) == name for taxon in taxa] for name in names])
    tables = [_matrix_table("Families: share of a row's test photos", names, member_FC, matrix_CC)]
    for name, member_C in zip(names, member_FC, strict=True):
        if name in families:
            tables += _family_table(comparison, name, member_C, matrix_CC)
    return tuple(tables)


def _matrix(method: Method, num_classes: int) -> NDArray[np.float64]:
    parts = [
        confusion_matrix(np.array(run.test.labels), np.array(run.test.predicted), num_classes)
        for run in method.runs
    ]
    return np.mean(parts, axis=0)  # type: ignore[no-any-return]


def _family_table(
    comparison: Comparison, family: str, member_C: NDArray[np.bool_], matrix_CC: NDArray[np.float64]
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


def _matrix_table(
    caption: str, names: Sequence[str], member_SC: NDArray[np.bool_], matrix_CC: NDArray[np.float64]
) -> Table:
    counts_SS = member_SC.astype(float) @ matrix_CC @ member_SC.T.astype(float)
    photos_S = member_SC.astype(float) @ matrix_CC.sum(axis=1)
    rows = []
    for name, counts_S, photos in zip(names, counts_SS, photos_S, strict=True):
        shares = counts_S / photos if photos else np.zeros(len(names))
        cells = tuple(Cell(_share_words(share), "shade", shade=round(float(share), 3)) for share in shares)
        rows.append((text_cell(name), number_cell(f"{photos:.0f}"), *cells))
    columns = (text_cell("true"), number_cell("photos"), *(text_cell(name) for name in names))
    return Table(caption, columns, tuple(rows))


def _share_words(share: float) -> str:
    if share == 0:
        return ""
    return "<1" if share < 0.01 else f"{100 * share:.0f}"
