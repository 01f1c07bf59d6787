"""An evaluation of two versions on uploaded photos -> its page. Pure."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from app.db.trial_tables import TrialRow, TrialState
from app.web.comparison_view import ComparisonTables, TrialLine, trial_line


@dataclass(frozen=True)
class TrialView:
    """``/trials/<id>/page``. ``tables``: the result. ``refresh_s``: the page asks again after so long."""

    template: ClassVar[str] = "trial.html"

    title: str
    id: UUID
    name: str
    version: str
    reference: str
    line: TrialLine
    form_token: str
    is_open: bool
    percent: float
    detail: str
    refresh_s: int
    tables: ComparisonTables | None
    left_out: str | None


def trial_view(row: TrialRow, title: str, tables: ComparisonTables | None, form_token: str) -> TrialView:
    """The page of one."""
    is_open = row.state in (TrialState.WAITING, TrialState.RUNNING)
    left_out = f"{row.num_left_out:,} photos were left out: they cannot be decoded, or are there twice."
    return TrialView(
        title=f"{title}: {row.version} against {row.reference}, on uploaded photos",
        id=row.id,
        name=row.model,
        version=row.version,
        reference=row.reference,
        line=trial_line(row),
        form_token=form_token,
        is_open=is_open,
        percent=100 * row.num_done / max(1, row.num_photos),
        detail=row.detail,
        refresh_s=2 if is_open else 0,
        tables=tables,
        left_out=left_out if row.num_left_out else None,
    )
