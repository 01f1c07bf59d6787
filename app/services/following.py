"""The loop in which a process follows what the database says: one look after the other, again and again."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.following")

Look = Callable[[], Awaitable[None]]


async def follow(every_s: float, *looks: Look) -> None:
    """Look until cancelled. One look that fails keeps neither the others nor its own next one."""
    while True:
        await asyncio.sleep(every_s)
        for look in looks:
            try:
                await look()
            except Exception as error:  # the loop's boundary: the database may be away for a while
                log.warning("could not follow", look=look.__qualname__, error=type(error).__name__)
