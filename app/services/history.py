"""The history of a model, its promotions, shadows and additions, as a table for spreadsheets. Pure."""

import csv
import io
from collections.abc import Iterable

from app.db.tables import AdditionRow, PromotionRow
from app.db.trial_tables import ShadowEventRow

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
    "bundle_sha256",
    "signed_by",
)
"""New ones go to the end: who reads the table by number goes on reading the same."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def history_csv(
    rows: Iterable[PromotionRow], shadows: Iterable[ShadowEventRow], additions: Iterable[AdditionRow]
) -> str:
    """One line a promotion, one a shadow's beginning or end and one an added version, newest first."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    lines = [(row.created_at, _cells(row)) for row in rows]
    lines += [(event.created_at, _shadow_cells(event)) for event in shadows]
    lines += [(row.created_at, _addition_cells(row)) for row in additions]
    ordered = sorted(lines, key=lambda line: line[0], reverse=True)
    writer.writerows([_plain(cell) for cell in cells] for _, cells in ordered)
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
        "",
        "",
    ]


def _shadow_cells(event: ShadowEventRow) -> list[str]:
    """A shadow moves nothing: it has no epoch and no verdict."""
    known = {
        "model": event.model,
        "created_at": event.created_at.isoformat(),
        "kind": f"shadow {event.kind.value} at {event.share:.1%}",
        "to_version": event.version,
        "actor": event.actor,
        "reason": event.reason,
    }
    return [known.get(column, "") for column in COLUMNS]


def _addition_cells(row: AdditionRow) -> list[str]:
    """Adding a version moves nothing either: it has no epoch, and ``to_version`` is what was added."""
    known = {
        "model": row.model,
        "created_at": row.created_at.isoformat(),
        "kind": "added",
        "to_version": row.version,
        "actor": row.actor,
        "bundle_sha256": row.sha256,
        "signed_by": row.signed_by or "",
    }
    return [known.get(column, "") for column in COLUMNS]


def _plain(cell: str) -> str:
    """Text that no spreadsheet takes for a formula.

    >>> _plain("=1+1"), _plain("Better.")
    ("'=1+1", 'Better.')
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
