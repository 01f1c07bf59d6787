"""Checklists by place and season; the database lets nobody rewrite one that an answer may have used."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

REFUSAL = "a checklist is immutable: replace it"
KEPT = (
    "id",
    "model",
    "name",
    "revision",
    "content",
    "sha256",
    "num_species",
    "unlisted_weight",
    "decimal_latitude",
    "decimal_longitude",
    "radius_km",
    "created_by",
    "created_at",
)
# A row is also rewritten by INSERT OR REPLACE, which fires no DELETE trigger by default.
SQLITE_TRIGGERS = {
    "checklist_no_change": f"BEFORE UPDATE OF {', '.join(KEPT)} ON checklist",
    "checklist_ends_once": "BEFORE UPDATE ON checklist WHEN OLD.ended_at IS NOT NULL",
    "checklist_no_delete": "BEFORE DELETE ON checklist",
    "checklist_no_replace": "BEFORE INSERT ON checklist WHEN EXISTS (SELECT 1 FROM checklist "
    "WHERE id = NEW.id OR (model = NEW.model AND name = NEW.name AND revision = NEW.revision))",
}


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "checklist",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("num_species", sa.Integer(), nullable=False),
        sa.Column("unlisted_weight", sa.Double(), nullable=False),
        sa.Column("decimal_latitude", sa.Double(), nullable=True),
        sa.Column("decimal_longitude", sa.Double(), nullable=True),
        sa.Column("radius_km", sa.Double(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(decimal_latitude IS NULL) = (radius_km IS NULL)"
            " AND (decimal_longitude IS NULL) = (radius_km IS NULL)",
            name=op.f("ck_checklist_whole_place"),
        ),
        sa.ForeignKeyConstraint(["model"], ["model.name"], name=op.f("fk_checklist_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checklist")),
        sa.UniqueConstraint("model", "name", "revision", name=op.f("uq_checklist_model_name_revision")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for name, when in SQLITE_TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")
        return
    _protect_on_postgresql()


def _protect_on_postgresql() -> None:
    before, after = (", ".join(f"{row}.{column}" for column in KEPT) for row in ("OLD", "NEW"))
    op.execute(
        "CREATE FUNCTION checklist_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'UPDATE' AND OLD.ended_at IS NULL AND ({before}) IS NOT DISTINCT FROM ({after}) "
        "THEN RETURN NEW; END IF; "
        f"RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER checklist_is_immutable BEFORE UPDATE OR DELETE ON checklist "
        "FOR EACH ROW EXECUTE FUNCTION checklist_is_immutable()"
    )


def downgrade() -> None:
    """Back from it."""
    op.drop_table("checklist")  # and its triggers with it
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION checklist_is_immutable()")
