"""How often something may be tried, counted together by all replicas."""

import hashlib
import math
import time
from ipaddress import IPv4Address, IPv6Network, ip_address

from limits import RateLimitItem, parse
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter

from app.errors import TooManyRequests

ACCOUNT_TIMES = 10
"""Log-ins at one account from all addresses together, as a multiple of those from one address.

One address must not be able to use them up, or any stranger locks any account (OWASP, Authentication Cheat Sheet); and
who guesses from many addresses is slowed down.
"""

CONFIRMATIONS = "100/day"
"""Passwords given inside one login: who stole it must not guess all day. Right ones count too; one is enough for a
quarter of an hour, and a day has 96 of those.
"""


def one_address(host: str) -> str:
    """What counts as one address: of IPv6 the /64, all of which any single connection has.

    >>> one_address("203.0.113.9"), one_address("2001:db8::a:b"), one_address("::ffff:203.0.113.9")
    ('203.0.113.9', '2001:db8::/64', '203.0.113.9')
    """
    try:
        address = ip_address(host)
    except ValueError:  # a socket's path
        return host
    if isinstance(address, IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))


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
            if not await self._limiter.hit(self._rate, self._name, subject_key(subject)):
                stats = await self._limiter.get_window_stats(self._rate, self._name, subject_key(subject))
                wait_s = math.ceil(stats.reset_time - time.time())
                raise TooManyRequests(
                    f"More than {self._rate.amount} in {self._rate.get_expiry()} s: wait a little.",
                    retry_after_s=wait_s,
                )

    async def forget(self, subject: str) -> None:
        """Begin anew for this subject."""
        await self._limiter.clear(self._rate, self._name, subject_key(subject))


def subject_key(subject: str) -> str:
    """A subject as a short key: what people type is of any length, and not to be kept."""
    return hashlib.sha256(subject.encode()).hexdigest()[:32]
