"""Who added a version, which the database lets nobody rewrite; the keys whose signatures are trusted."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

REFUSAL = "the history of added versions is append-only"
SQLITE_TRIGGERS = {
    "addition_no_update": "BEFORE UPDATE ON addition",
    "addition_no_delete": "BEFORE DELETE ON addition",
    "addition_no_replace": "BEFORE INSERT ON addition WHEN EXISTS (SELECT 1 FROM addition "
    "WHERE id = NEW.id OR (model = NEW.model AND version = NEW.version))",
}


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "addition",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("signed_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "version"],
            ["version.model", "version.version"],
            name=op.f("fk_addition_model_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addition")),
        sa.UniqueConstraint("model", "version", name=op.f("uq_addition_model_version")),
    )
    op.create_table(
        "trusted_key",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_trusted_key")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for name, when in SQLITE_TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")
        return
    op.execute(
        "CREATE FUNCTION addition_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER addition_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON addition "
        "FOR EACH STATEMENT EXECUTE FUNCTION addition_is_append_only()"
    )


def downgrade() -> None:
    """Back from it."""
    if op.get_bind().dialect.name == "sqlite":
        for name in SQLITE_TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
    else:
        op.execute("DROP TRIGGER addition_is_append_only ON addition")
        op.execute("DROP FUNCTION addition_is_append_only()")
    op.drop_table("trusted_key")
    op.drop_table("addition")
