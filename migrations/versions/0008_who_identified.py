"""Whether nobody in particular identified: an account that is deleted later does not make its answers everybody's."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision. What was made with a key, or by an account that is gone, cannot be told apart any more."""
    op.add_column(
        "identification", sa.Column("is_anonymous", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.execute("UPDATE identification SET is_anonymous = (user_id IS NULL)")


def downgrade() -> None:
    """Back from it."""
    op.drop_column("identification", "is_anonymous")
