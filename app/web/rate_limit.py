"""How often one caller may identify, and the headers that say how much is left.

Header names and syntax: draft-ietf-httpapi-ratelimit-headers-10.
"""

import hashlib
import math
import time

from fastapi import Request
from limits import parse
from limits.aio.storage import Storage

from app.errors import TooManyRequests
from app.services.accounts import Caller


class CallerRate:
    """A fixed window for each key or address. With a shared storage every replica counts the same."""

    def __init__(self, storage: Storage, name: str, rate: str) -> None:
        limit = parse(rate)
        self._storage = storage
        self._name = name
        self._amount = limit.amount
        self._window_s = limit.get_expiry()

    async def hit(self, subject: str, cost: int = 1) -> dict[str, str]:
        """Count ``cost`` identifications of a caller; the headers of the answer. Raises TooManyRequests."""
        key = f"{self._name}/{hashlib.sha256(subject.encode()).hexdigest()[:32]}"
        used = await self._storage.incr(key, self._window_s, cost)
        reset_s = max(1, math.ceil(await self._storage.get_expiry(key) - time.time()))
        headers = {
            "RateLimit-Policy": f'"{self._name}";q={self._amount};w={self._window_s}',
            "RateLimit": f'"{self._name}";r={max(0, self._amount - used)};t={reset_s}',
        }
        if used > self._amount:
            refusal = TooManyRequests(
                f"More than {self._amount} identifications in {self._window_s} seconds.",
                retry_after_s=reset_s,
            )
            refusal.headers.update(headers)
            raise refusal
        return headers


def subject_of(caller: Caller, request: Request) -> str:
    """Whom a request counts for: its key, else its account, else its address."""
    if caller.key_id is not None:
        return f"key:{caller.key_id}"
    if caller.user_id is not None:
        return f"user:{caller.user_id}"
    return f"address:{request.client.host if request.client else 'unknown'}"
