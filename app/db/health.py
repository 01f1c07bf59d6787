"""Whether the database answers."""

import asyncio

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.db.session import Sessions


async def database_answers(sessions: Sessions, timeout_s: float = 1.0) -> bool:
    """Whether it answers the simplest question within ``timeout_s``."""
    try:
        async with asyncio.timeout(timeout_s), sessions() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError):  # a TimeoutError is an OSError
        return False
    return True
