"""How often one caller may identify, and the headers that say how much is left.

Header names and syntax: draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
import time

from fastapi import Request
from limits import parse
from limits.aio.storage import Storage

from app.errors import InvalidField, TooManyRequests
from app.services.accounts import Caller
from app.services.rates import one_address, subject_key


class CallerRate:
    """A fixed window for each key or address. With a shared storage every replica counts the same."""

    def __init__(self, storage: Storage, name: str, rate: str) -> None:
        limit = parse(rate)
        self._storage = storage
        self._name = name
        self._amount = limit.amount
        self._window_s = limit.get_expiry()

    async def hit(self, subject: str, cost: int = 1, *, counted: int = 0) -> dict[str, str]:
        """Count ``cost`` identifications of a caller, ``counted`` of them before; the headers of the answer.

        What is refused costs nothing: ``counted`` is given back. Raises TooManyRequests, or InvalidField for more than
        the whole rate, which waiting does not help.
        """
        if cost > self._amount:
            await self.give_back(subject, counted)
            raise InvalidField.of("image", f"at most {self._amount} photos in a batch here")
        key = self._key(subject)
        used = await self._take(key, cost - counted)
        if used is None:
            await self.give_back(subject, counted)
            raise await self._refusal(key)
        headers, _ = await self._headers(key, used)
        return headers

    async def give_back(self, subject: str, count: int) -> None:
        """Count ``count`` identifications less, as far as the window has them."""
        key = self._key(subject)
        if count and await self._storage.get(key) >= count:
            await self._storage.incr(key, self._window_s, -count)

    async def _take(self, key: str, count: int) -> int | None:
        """The count after these; None, and nothing counted, where they are too many."""
        # Several are looked at first: counted, if only for a moment, they would have others refused that fit. One is
        # refused only where no other fits either.
        if count > 1 and await self._storage.get(key) + count > self._amount:
            return None
        used = await self._storage.incr(key, self._window_s, count)
        if used > self._amount:  # another request was counted in between
            await self._storage.incr(key, self._window_s, -count)
            return None
        return used

    async def _refusal(self, key: str) -> TooManyRequests:
        headers, reset_s = await self._headers(key, await self._storage.get(key))
        refusal = TooManyRequests(
            f"More than {self._amount} identifications in {self._window_s} seconds.", retry_after_s=reset_s
        )
        refusal.headers.update(headers)
        return refusal

    async def _headers(self, key: str, used: int) -> tuple[dict[str, str], int]:
        """What an answer says of the rate, and in how many seconds the window ends."""
        reset_s = max(1, math.ceil(await self._storage.get_expiry(key) - time.time()))
        headers = {
            "RateLimit-Policy": f'"{self._name}";q={self._amount};w={self._window_s}',
            "RateLimit": f'"{self._name}";r={max(0, self._amount - used)};t={reset_s}',
        }
        return headers, reset_s

    def _key(self, subject: str) -> str:
        return f"{self._name}/{subject_key(subject)}"


def subject_of(caller: Caller, request: Request) -> str:
    """Whom a request counts for: its key, else its account, else its address."""
    if caller.key_id is not None:
        return f"key:{caller.key_id}"
    if caller.user_id is not None:
        return f"user:{caller.user_id}"
    return f"address:{address_of(request)}"


def address_of(request: Request) -> str:
    """Where a request comes from, as far as it is counted."""
    return one_address(request.client.host) if request.client else "unknown"
