"""Protected species; what the gate said of each promotion; a history that the database itself lets nobody rewrite."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REFUSAL = "the history of promotions is append-only"
COLUMNS = ("kind", "override_reason", "verdict", "from_evaluation_sha256", "to_evaluation_sha256")
# A row is also rewritten by INSERT OR REPLACE, which fires no DELETE trigger by default.
SQLITE_TRIGGERS = {
    "promotion_no_update": "BEFORE UPDATE ON promotion",
    "promotion_no_delete": "BEFORE DELETE ON promotion",
    "promotion_no_replace": "BEFORE INSERT ON promotion WHEN EXISTS (SELECT 1 FROM promotion "
    "WHERE id = NEW.id OR (model = NEW.model AND epoch = NEW.epoch))",
}


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "protected_species",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["model.name"], name=op.f("fk_protected_species_model")),
        sa.PrimaryKeyConstraint("model", "label", name=op.f("pk_protected_species")),
    )
    for column in (
        sa.Column("kind", sa.String(length=16), nullable=False, server_default="promotion"),
        sa.Column("override_reason", sa.Text(), nullable=True),
        sa.Column("verdict", sa.JSON(), nullable=True),
        sa.Column("from_evaluation_sha256", sa.String(length=64), nullable=True),
        sa.Column("to_evaluation_sha256", sa.String(length=64), nullable=True),
    ):
        op.add_column("promotion", column)
    op.execute("UPDATE promotion SET kind = 'start' WHERE actor IN ('first start', 'start')")
    if op.get_bind().dialect.name == "sqlite":
        for name, when in SQLITE_TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")
        return
    op.execute(
        "CREATE FUNCTION promotion_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER promotion_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON promotion "
        "FOR EACH STATEMENT EXECUTE FUNCTION promotion_is_append_only()"
    )


def downgrade() -> None:
    """Back from it."""
    if op.get_bind().dialect.name == "sqlite":
        for name in SQLITE_TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
    else:
        op.execute("DROP TRIGGER promotion_is_append_only ON promotion")
        op.execute("DROP FUNCTION promotion_is_append_only()")
    for column in COLUMNS:
        op.execute(f"ALTER TABLE promotion DROP COLUMN {column}")
    op.drop_table("protected_species")
