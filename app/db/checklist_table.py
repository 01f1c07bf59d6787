"""The table of checklists: what is expected where and when. ``app.db.migrate`` makes it known to the metadata."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Double, ForeignKey, String, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables import Table, utc_now


class ChecklistRow(Table):
    """One revision of a list. Triggers refuse to change or delete it: it can only end, once, and stays for the answers
    that name it. ``content``: the CSV as ``models.checklist`` writes it.
    """

    __tablename__ = "checklist"
    __table_args__ = (
        UniqueConstraint("model", "name", "revision"),
        CheckConstraint(
            "(decimal_latitude IS NULL) = (radius_km IS NULL)"
            " AND (decimal_longitude IS NULL) = (radius_km IS NULL)",
            name="whole_place",
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True, default=uuid4)
    model: Mapped[str] = mapped_column(ForeignKey("model.name"))
    name: Mapped[str] = mapped_column(String(100))
    revision: Mapped[int]
    content: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    num_species: Mapped[int]
    unlisted_weight: Mapped[float] = mapped_column(Double)
    decimal_latitude: Mapped[float | None] = mapped_column(Double)
    decimal_longitude: Mapped[float | None] = mapped_column(Double)
    radius_km: Mapped[float | None] = mapped_column(Double)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    ended_by: Mapped[str | None] = mapped_column(Text)
    ended_at: Mapped[datetime | None]
