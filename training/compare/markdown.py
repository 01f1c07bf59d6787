"""Comparison -> Markdown tables for a document: overall, who is best, what each factor does, and cost."""

from collections.abc import Iterable

from training.compare.caveats import ablation_caveats, baseline_caveats
from training.compare.differences import Versuses
from training.compare.methods import Comparison
from training.compare.page import Cell, Table
from training.compare.tables import ablation_table, cost_table, overall_table, versus_table
from training.compare.winners import answers, winners_table


def markdown_tables(comparison: Comparison, versuses: Versuses, removals: Versuses) -> str:
    """The findings and the tables that the report begins with, as Markdown; under differences what limits them."""
    findings = "\n".join(f"- {answer}" for answer in answers(comparison, versuses))
    parts = [findings, markdown(overall_table(comparison)), markdown(winners_table(comparison))]
    if versuses.rows:
        corrected = f"p corrected for {versuses.num_tests}"
        caption = f"Difference to {comparison.baseline} in percentage points (95% interval), {corrected}"
        parts.append(markdown(versus_table(comparison, versuses.rows, caption, "")))
        parts += baseline_caveats(comparison, versuses)
    if removals.rows:
        parts.append(markdown(ablation_table(comparison, removals.rows)))
        parts += ablation_caveats(removals)
    parts.append(markdown(cost_table(comparison.methods)))
    return "\n\n".join(parts) + "\n"


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
