"""What a method takes for what: its most frequent confusions, and matrices of families and of the species within them.

Legend: C classes, S rows of a matrix, each one class or several, P pairs of true and named class that occur.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.compare.methods import Comparison, Method
from training.compare.page import Cell, Table, headings, number_cell, text_cell

_MOST_PAIRS = 15
_MOST_SPECIES = 12
_NOT_GIVEN = "family not given"
_NO_ROW = -1


class _Answers(NamedTuple):
    """How many photos of a true class were named as a class, in all runs together."""

    true_P: NDArray[np.int64]
    predicted_P: NDArray[np.int64]
    photos_P: NDArray[np.int64]
    num_runs: int


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
    said = _answers(method, len(taxa))
    names = [*families, *([_NOT_GIVEN] if any(not taxon.family for taxon in taxa) else [])]
    family_C = np.array([names.index(taxon.family or _NOT_GIVEN) for taxon in taxa])
    tables = [_matrix_table("Families: share of a row's test photos", names, family_C, said)]
    for place, name in enumerate(families):
        tables += _family_table(comparison, name, family_C == place, said)
    return tuple(tables)


def _answers(method: Method, num_classes: int) -> _Answers:
    """Of thousands of species nearly all pairs are confused by nobody, so only those that occur are kept."""
    flat = [np.array(run.test.labels) * num_classes + np.array(run.test.predicted) for run in method.runs]
    pairs_P, photos_P = np.unique(np.concatenate(flat), return_counts=True)
    return _Answers(pairs_P // num_classes, pairs_P % num_classes, photos_P, len(method.runs))


def _family_table(
    comparison: Comparison, family: str, member_C: NDArray[np.bool_], said: _Answers
) -> list[Table]:
    """Of a large family the species that are exchanged most."""
    wrong_P = member_C[said.true_P] & member_C[said.predicted_P] & (said.true_P != said.predicted_P)
    exchanged_P = np.concatenate([said.true_P[wrong_P], said.predicted_P[wrong_P]])
    photos_P = np.tile(said.photos_P[wrong_P], 2)
    exchanged_C = np.bincount(exchanged_P, weights=photos_P, minlength=len(member_C))
    places = [c for c in np.argsort(-exchanged_C, kind="stable") if exchanged_C[c] > 0][:_MOST_SPECIES]
    if len(places) < 2:
        return []
    num = int(member_C.sum())
    names = [comparison.dataset.info.taxa[place].display_name for place in sorted(places)]
    row_C = np.full(len(member_C), _NO_ROW)
    row_C[sorted(places)] = np.arange(len(places))
    few = "" if len(places) == num else f", the {len(places)} of {num} species that are exchanged most"
    return [_matrix_table(f"{family}{few}: share of a row's test photos", names, row_C, said)]


def _matrix_table(caption: str, names: Sequence[str], row_C: NDArray[np.int64], said: _Answers) -> Table:
    """``row_C``: the row and column that each class belongs to, or _NO_ROW."""
    true_P, predicted_P = row_C[said.true_P], row_C[said.predicted_P]
    counts_SS, photos_S = np.zeros((len(names), len(names))), np.zeros(len(names))
    shown_P = true_P != _NO_ROW
    np.add.at(photos_S, true_P[shown_P], said.photos_P[shown_P])
    shown_P &= predicted_P != _NO_ROW
    np.add.at(counts_SS, (true_P[shown_P], predicted_P[shown_P]), said.photos_P[shown_P])
    rows = []
    for name, counts_S, photos in zip(names, counts_SS, photos_S, strict=True):
        shares = counts_S / photos if photos else np.zeros(len(names))
        cells = tuple(Cell(_share_words(share), "shade", shade=round(float(share), 3)) for share in shares)
        rows.append((text_cell(name), number_cell(f"{photos / said.num_runs:.0f}"), *cells))
    columns = (text_cell("true"), number_cell("photos"), *(text_cell(name) for name in names))
    return Table(caption, columns, tuple(rows))


def _share_words(share: float) -> str:
    if share == 0:
        return ""
    return "<1" if share < 0.01 else f"{100 * share:.0f}"
