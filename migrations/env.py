"""Runs migrations on the connection that ``app.db.migrate`` hands over, or on ``alembic -x url=…``.

Knows the tables and nothing else of the service.
"""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, create_engine

from app.db.tables import UtcDateTime
from app.db.trial_tables import TrialRow


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Our time type is plain SQL to a migration: old migrations must not change with the code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


EVERY_TABLE = TrialRow.metadata
"""Of both modules of tables: the second one imports the first."""


def migrate(connection: Connection) -> None:
    """Run what was asked for, in the transaction of the connection if it has one."""
    context.configure(
        connection=connection, target_metadata=EVERY_TABLE, render_as_batch=True, render_item=render_item
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as connection:
        migrate(connection)
