"""Comparison -> Markdown tables for a document: overall, who is best, what each factor does, and cost."""

from collections.abc import Iterable, Sequence

from training.compare.differences import ablations, against_baseline
from training.compare.methods import make_comparison
from training.compare.page import Cell, Table
from training.compare.record import RunResult
from training.compare.tables import ablation_table, cost_table, overall_table, versus_table
from training.compare.winners import answers, winners_table
from training.data.prepared import Dataset


def markdown_tables(results: Sequence[RunResult], dataset: Dataset, baseline: str) -> str:
    """The findings and the tables that the report begins with, as Markdown. Raises ValueError as the report does."""
    comparison = make_comparison(results, dataset, baseline)
    versuses = against_baseline(comparison)
    tables = [overall_table(comparison), winners_table(comparison), cost_table(comparison.methods)]
    if versuses.rows:
        caption = f"Difference to {baseline} in percentage points (95% interval), p corrected for {versuses.num_tests}"
        tables.insert(2, versus_table(comparison, versuses.rows, caption, ""))
    if removals := ablations(comparison, None).rows:
        tables.insert(-1, ablation_table(comparison, removals))
    findings = "\n".join(f"- {answer}" for answer in answers(comparison, versuses))
    return "\n\n".join([findings, *map(markdown, tables)]) + "\n"


def markdown(table: Table) -> str:
    """A table with its caption above it.

    >>> print(markdown(Table("Figures", (Cell("a"), Cell("b", "number")), ((Cell("x", mark="best"), Cell("1")),))))
    Figures
    <BLANKLINE>
    | a | b |
    |---|---:|
    | x (best) | 1 |
    """
    rules = ("---" if not column.kind else "---:" for column in table.columns)
    lines = [_line(cell.text for cell in table.columns), "|" + "|".join(rules) + "|"]
    lines += [_line(_words(cell) for cell in row) for row in table.rows]
    return f"{table.caption}\n\n" + "\n".join(lines)


def _words(cell: Cell) -> str:
    return f"{cell.text} ({cell.mark})" if cell.mark else cell.text


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
