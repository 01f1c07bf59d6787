"""Comparison -> CSV files beside the page, for whoever wants to reckon on. Shares in 0 to 1, unrounded to speak of."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from models.evaluation import Estimate, Evaluation
from models.groups import GROUPS
from models.tally import SCORES
from training.compare.differences import Versus, Versuses, factor_of
from training.compare.methods import FIGURES, Comparison, Method
from training.compare.page import NO_SPECIES, NO_TEST_PHOTOS
from training.compare.record import Cost, RunResult
from training.compare.statistics import Difference, Spread, f1_of_species
from training.compare.tables import absence

_COSTS = tuple(Cost.model_fields)
_VERSUS_COLUMNS = (
    *("seeds", "hardware", "reference_hardware", "figure", "difference", "low", "high", "p_corrected"),
    "num_comparisons",
)
_SCORES = tuple(f"{score}{end}" for score in SCORES for end in ("", "_low", "_high"))
_GROUP_COLUMNS = (
    *("recipe", "backbone", "seed", "group", "num_species", "num_species_tested", "num_test_images"),
    *(*_SCORES, "ece"),
)
_SPECIES_COLUMNS = (
    *("recipe", "backbone", "seed", "species", "training_count", "group", "support", "num_named"),
    *_SCORES,
)
NEVER_NAMED = "never named"


def write_csv_files(comparison: Comparison, versuses: Versuses, ablations: Versuses, out: Path) -> None:
    """Write overall, runs, groups, species, comparisons, cost and ablation. A run's figures have its own intervals."""
    methods = comparison.methods + comparison.removals
    _write(out / "overall.csv", _overall_columns(), (_overall_row(comparison, method) for method in methods))
    _write(out / "runs.csv", _runs_columns(), _runs_rows(comparison, methods))
    _write(out / "groups.csv", _GROUP_COLUMNS, _groups_rows(methods))
    _write(out / "species.csv", _SPECIES_COLUMNS, _species_rows(methods))
    _write(
        out / "comparisons.csv",
        ("recipe", "backbone", "against", *_VERSUS_COLUMNS),
        (
            (row.method.recipe, row.method.backbone, row.reference.recipe, *said)
            for row, said in _versus_rows(comparison, versuses)
        ),
    )
    cost_columns = ("recipe", "backbone", "seed", "hardware", "peak_memory_of", *_COSTS)
    _write(out / "cost.csv", cost_columns, _cost_rows(methods))
    _write(
        out / "ablation.csv",
        ("recipe", "without", "backbone", *_VERSUS_COLUMNS),
        (
            (row.reference.recipe, factor_of(row.method), row.method.backbone, *said)
            for row, said in _versus_rows(comparison, ablations)
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


def _evaluations(methods: Sequence[Method]) -> Iterable[tuple[RunResult, Evaluation]]:
    for method in methods:
        yield from zip(method.runs, method.test, strict=True)


def _groups_rows(methods: Sequence[Method]) -> Iterable[list[object]]:
    for run, evaluation in _evaluations(methods):
        for found in evaluation.groups:
            absent = NO_TEST_PHOTOS if found.num_species else NO_SPECIES
            yield [
                *(run.recipe, run.backbone, run.seed, found.group),
                *(found.num_species, found.num_species_tested, found.num_test_images),
                *_estimates((found.recall, found.precision, found.f1), absent),
                absent if found.ece is None else _number(found.ece),
            ]


def _species_rows(methods: Sequence[Method]) -> Iterable[list[object]]:
    for run, evaluation in _evaluations(methods):
        for found in evaluation.species:
            yield [
                *(run.recipe, run.backbone, run.seed, found.label, found.training_count, found.group),
                *(found.num_test_images, found.num_predicted),
                *_estimates((found.recall,), NO_TEST_PHOTOS),
                *_estimates((found.precision,), NEVER_NAMED),
                *_estimates((f1_of_species(found),), NO_TEST_PHOTOS),
            ]


def _estimates(found: Sequence[Estimate | None], absent: str) -> Iterable[object]:
    """Three cells each: the figure and its 95% interval."""
    for one in found:
        yield from (absent, "", "") if one is None else map(_number, (one.value, *one.interval))


def _versus_rows(comparison: Comparison, versuses: Versuses) -> Iterable[tuple[Versus, list[object]]]:
    """Of each comparison a row a figure, with the seeds that are compared and what either side ran on."""
    for row in versuses.rows:
        pair = [" ".join(map(str, row.seeds)) or "none in common", *row.hardware]
        for name, found in _differences(comparison, row.differences):
            yield row, [*pair, name, *found, versuses.num_tests]


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
            costs = (getattr(run.cost, name) for name in _COSTS)
            yield [run.recipe, run.backbone, run.seed, run.hardware, run.memory_of, *costs]


def _number(value: float) -> float:
    return round(value, 6)
