"""Comparison -> CSV files beside the page, for whoever wants to reckon on. Shares in 0 to 1, unrounded to speak of."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from models.groups import GROUPS
from training.compare.differences import Versuses, factor_of
from training.compare.methods import FIGURES, Comparison, Method
from training.compare.page import NO_TEST_PHOTOS
from training.compare.record import Cost
from training.compare.statistics import Difference, Spread
from training.compare.tables import absence

_COSTS = tuple(Cost.model_fields)
_OF_A_DIFFERENCE = ("difference", "low", "high", "p_corrected")


def write_csv_files(comparison: Comparison, versuses: Versuses, ablations: Versuses, out: Path) -> None:
    """Write overall, runs, species, comparisons, cost and ablation."""
    methods = comparison.methods + comparison.removals
    _write(out / "overall.csv", _overall_columns(), (_overall_row(comparison, method) for method in methods))
    _write(out / "runs.csv", _runs_columns(), _runs_rows(comparison, methods))
    _write(
        out / "species.csv",
        ("recipe", "backbone", "species", "training_count", "group", "support", "recall"),
        _species_rows(comparison, methods),
    )
    _write(
        out / "comparisons.csv",
        ("recipe", "backbone", "against", "figure", *_OF_A_DIFFERENCE, "num_comparisons"),
        (
            (row.method.recipe, row.method.backbone, row.reference.recipe, name, *found, versuses.num_tests)
            for row in versuses.rows
            for name, found in _differences(comparison, row.differences)
        ),
    )
    _write(out / "cost.csv", ("recipe", "backbone", "seed", *_COSTS), _cost_rows(methods))
    _write(
        out / "ablation.csv",
        ("recipe", "without", "backbone", "figure", *_OF_A_DIFFERENCE, "num_comparisons"),
        (
            (
                row.reference.recipe,
                factor_of(row.method),
                row.method.backbone,
                name,
                *found,
                ablations.num_tests,
            )
            for row in ablations.rows
            for name, found in _differences(comparison, row.differences)
        ),
    )


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _overall_columns() -> tuple[str, ...]:
    pairs = (part for figure in FIGURES for part in (figure, f"{figure}_deviation"))
    return ("recipe", "backbone", "num_seeds", "role", "validation_score", *pairs)


def _overall_row(comparison: Comparison, method: Method) -> list[object]:
    row: list[object] = [
        method.recipe,
        method.backbone,
        len(method.runs),
        _role(comparison, method),
        _number(method.validation_score),
    ]
    for figure in FIGURES:
        found = method.on_test(figure)
        row += [absence(comparison, figure), ""] if found is None else _spread(found)
    return row


def _spread(found: Spread) -> list[object]:
    return [_number(found.mean), "" if found.deviation is None else _number(found.deviation)]


def _role(comparison: Comparison, method: Method) -> str:
    """What a method is to the comparison; the best may be the baseline."""
    roles = {
        "best_on_validation": method is comparison.best,
        "baseline": method.recipe == comparison.baseline,
        "ablation": method in comparison.removals,
    }
    return " ".join(role for role, has in roles.items() if has)


def _runs_columns() -> tuple[str, ...]:
    on_validation = (f"validation_{figure}" for figure in FIGURES)
    return (
        *("recipe", "backbone", "seed", "temperature", *FIGURES, *on_validation),
        *("data_sha256", "commit", "hardware", "command"),
    )


def _runs_rows(comparison: Comparison, methods: Sequence[Method]) -> Iterable[list[object]]:
    for method in methods:
        for run, test, validation in zip(method.runs, method.test, method.validation, strict=True):
            figures = [read(evaluation) for evaluation in (test, validation) for read in FIGURES.values()]
            names = [*FIGURES, *FIGURES]
            yield [
                *(run.recipe, run.backbone, run.seed, run.temperature),
                *(
                    absence(comparison, name) if value is None else _number(value)
                    for name, value in zip(names, figures, strict=True)
                ),
                *(run.data_sha256, run.commit, run.hardware, run.command),
            ]


def _species_rows(comparison: Comparison, methods: Sequence[Method]) -> Iterable[list[object]]:
    dataset = comparison.dataset
    support = Counter(methods[0].runs[0].test.labels)
    for method in methods:
        for place, recall in enumerate(method.species_recall):
            yield [
                *(method.recipe, method.backbone, dataset.labels[place], dataset.info.training_counts[place]),
                *(dataset.groups[place], support[place]),
                NO_TEST_PHOTOS if recall is None else _number(recall),
            ]


def _differences(
    comparison: Comparison, found: Mapping[str, Difference]
) -> Iterable[tuple[str, list[object]]]:
    for figure in ("accuracy", "macro_recall", *GROUPS):
        one = found.get(figure)
        if one is None:
            yield figure, [absence(comparison, figure), "", "", ""]
        else:
            yield figure, [_number(one.value), *map(_number, one.interval), _number(one.p)]


def _cost_rows(methods: Sequence[Method]) -> Iterable[list[object]]:
    for method in methods:
        for run in method.runs:
            yield [run.recipe, run.backbone, run.seed, *(getattr(run.cost, name) for name in _COSTS)]


def _number(value: float) -> float:
    return round(value, 6)
