"""What replicas say of themselves; shadows with a history that nobody rewrites; evaluations on uploaded photos."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

REFUSAL = "the history of shadows is append-only"
SQLITE_TRIGGERS = {
    "shadow_event_no_update": "BEFORE UPDATE ON shadow_event",
    "shadow_event_no_delete": "BEFORE DELETE ON shadow_event",
    "shadow_event_no_replace": "BEFORE INSERT ON shadow_event "
    "WHEN EXISTS (SELECT 1 FROM shadow_event WHERE id = NEW.id)",
}
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """To this revision."""
    _add_replicas()
    _add_shadows()
    _add_trials()
    _forbid_rewriting()


def _add_replicas() -> None:
    op.create_table(
        "replica",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replica")),
    )
    op.create_index(op.f("ix_replica_seen_at"), "replica", ["seen_at"])


def _add_shadows() -> None:
    op.create_table(
        "shadow",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.CheckConstraint("share > 0 AND share <= 1", name=op.f("ck_shadow_share_in_range")),
        sa.ForeignKeyConstraint(["model"], ["model.name"], name=op.f("fk_shadow_model")),
        sa.ForeignKeyConstraint(
            ["model", "version"], ["version.model", "version.version"], name=op.f("fk_shadow_version")
        ),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_shadow")),
    )
    op.create_table(
        "shadow_event",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["model"], ["model.name"], name=op.f("fk_shadow_event_model")),
        sa.ForeignKeyConstraint(
            ["model", "version"],
            ["version.model", "version.version"],
            name=op.f("fk_shadow_event_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_event")),
    )
    op.create_index(op.f("ix_shadow_event_model"), "shadow_event", ["model"])
    op.create_table(
        "shadow_answer",
        sa.Column("identification_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("deployed", sa.String(length=32), nullable=False),
        sa.Column("group", sa.String(length=16), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("decides_alike", sa.Boolean(), nullable=False),
        sa.Column("deployed_label", sa.String(length=200), nullable=False),
        sa.Column("deployed_probability", sa.Double(), nullable=False),
        sa.Column("deployed_decision", sa.Text(), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["identification_id"],
            ["identification.id"],
            name=op.f("fk_shadow_answer_identification_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("identification_id", "version", name=op.f("pk_shadow_answer")),
    )
    op.create_index("ix_shadow_answer_pair", "shadow_answer", ["model", "version", "deployed", "created_at"])


def _add_trials() -> None:
    op.create_table(
        "trial",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=32), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("num_photos", sa.Integer(), nullable=False),
        sa.Column("num_done", sa.Integer(), nullable=False),
        sa.Column("num_left_out", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("worker", sa.Uuid(), nullable=True),
        sa.Column("leased_until", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["model"], ["model.name"], name=op.f("fk_trial_model")),
        sa.ForeignKeyConstraint(
            ["model", "version"], ["version.model", "version.version"], name=op.f("fk_trial_version")
        ),
        sa.ForeignKeyConstraint(
            ["model", "reference"], ["version.model", "version.version"], name=op.f("fk_trial_reference")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trial")),
    )
    op.create_index(op.f("ix_trial_model"), "trial", ["model"])
    op.create_index(op.f("ix_trial_state"), "trial", ["state"])


def _forbid_rewriting() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name, when in SQLITE_TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")
        return
    op.execute(
        "CREATE FUNCTION shadow_event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER shadow_event_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON shadow_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION shadow_event_is_append_only()"
    )


def downgrade() -> None:
    """Back from it."""
    for table in ("trial", "shadow_answer", "shadow_event", "shadow", "replica"):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION shadow_event_is_append_only()")
