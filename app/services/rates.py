"""How often something may be tried, counted together by all replicas."""

import hashlib
import math
import time

from limits import RateLimitItem, parse
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter

from app.errors import TooManyRequests

ACCOUNT_TIMES = 10
"""Log-ins at one account from all addresses together, as a multiple of those from one address.

One address must not be able to use them up, or any stranger locks any account (OWASP, Authentication Cheat Sheet); and
who guesses from many addresses has to come to an end.
"""


class RateLimit:
    """One rate, such as ten log-ins a minute, for each of several subjects (an address, an account)."""

    def __init__(self, storage: Storage, name: str, rate: str, *, times: int = 1) -> None:
        """``times``: how many times as often as ``rate`` says."""
        self._limiter = FixedWindowRateLimiter(storage)
        self._name = name
        item = parse(rate)
        self._rate: RateLimitItem = type(item)(item.amount * times, item.multiples)

    async def hit(self, *subjects: str) -> None:
        """Count one try of each subject. Raises TooManyRequests when one has had too many."""
        for subject in subjects:
            if not await self._limiter.hit(self._rate, self._name, _key(subject)):
                stats = await self._limiter.get_window_stats(self._rate, self._name, _key(subject))
                wait_s = math.ceil(stats.reset_time - time.time())
                raise TooManyRequests(
                    f"More than {self._rate.amount} in {self._rate.get_expiry()} s: wait a little.",
                    retry_after_s=wait_s,
                )

    async def forget(self, subject: str) -> None:
        """Begin anew for this subject."""
        await self._limiter.clear(self._rate, self._name, _key(subject))


def _key(subject: str) -> str:
    """A subject as a short key: what people type is of any length, and not to be kept."""
    return hashlib.sha256(subject.encode()).hexdigest()[:32]
