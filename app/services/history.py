"""The history of promotions as a table for spreadsheets. Pure."""

import csv
import io
from collections.abc import Iterable

from app.db.tables import PromotionRow

COLUMNS = (
    "model",
    "epoch",
    "created_at",
    "kind",
    "from_version",
    "to_version",
    "actor",
    "reason",
    "override_reason",
    "verdict",
    "refusals",
    "basis",
    "from_evaluation_sha256",
    "to_evaluation_sha256",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def history_csv(rows: Iterable[PromotionRow]) -> str:
    """One line a promotion, in the order given."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    writer.writerows([_plain(cell) for cell in _cells(row)] for row in rows)
    return stream.getvalue()


def verdict_word(row: PromotionRow) -> str:
    """What the gate said of it, in a word.

    >>> verdict_word(PromotionRow(verdict=None))
    'not judged'
    >>> verdict_word(PromotionRow(verdict={"refusals": [{}]}, override_reason="The list was wrong."))
    'overridden'
    """
    if row.override_reason is not None:
        return "overridden"
    if row.verdict is None:
        return "not judged"
    return "refused" if row.verdict["refusals"] else "passed"


def _cells(row: PromotionRow) -> list[str]:
    verdict = row.verdict or {}
    refusals = " ".join(finding["message"] for finding in verdict.get("refusals", ()))
    return [
        row.model,
        str(row.epoch),
        row.created_at.isoformat(),
        row.kind.value,
        row.from_version or "",
        row.to_version,
        row.actor,
        row.reason,
        row.override_reason or "",
        verdict_word(row),
        refusals,
        verdict.get("basis", ""),
        row.from_evaluation_sha256 or "",
        row.to_evaluation_sha256 or "",
    ]


def _plain(cell: str) -> str:
    """Text that no spreadsheet takes for a formula.

    >>> _plain("=1+1"), _plain("Better.")
    ("'=1+1", 'Better.')
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
