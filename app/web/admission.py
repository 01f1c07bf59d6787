"""Who may come in: a bounded number of waiting requests and of bytes. The rest is told when to return.

Ours rather than the server's, whose limit answers 503 without ``Retry-After``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import Busy

RETRY_AFTER_S = 1


class Reservation:
    """The bytes that one request holds. They are given back when it ends."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self.num_bytes = 0

    def grow(self, num_bytes: int) -> None:
        """Hold so many more. Raises Busy when all requests together would hold too many."""
        self._admission.take_bytes(num_bytes)
        self.num_bytes += num_bytes


class Admission:
    """``max_requests`` in work or waiting, ``max_bytes`` of photos in memory."""

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self.num_requests = 0
        self.num_bytes = 0
        self.num_refused = 0

    @contextmanager
    def reading(self) -> Iterator[Reservation]:
        """While a body is read and worked on. Raises Busy at once where there would be no place after it."""
        self._check_place()
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.num_bytes -= reservation.num_bytes

    @contextmanager
    def working(self) -> Iterator[None]:
        """A place from decoding to answer. Raises Busy. A slow upload holds none."""
        self._check_place()
        self.num_requests += 1
        try:
            yield
        finally:
            self.num_requests -= 1

    def take_bytes(self, num_bytes: int) -> None:
        """Count bytes that came in. Raises Busy."""
        if self.num_bytes + num_bytes > self._max_bytes:
            self._refuse("Too many photos are being sent at the same time.")
        self.num_bytes += num_bytes

    def _check_place(self) -> None:
        if self.num_requests >= self._max_requests:
            self._refuse(f"{self.num_requests} requests are waiting already.")

    def _refuse(self, detail: str) -> None:
        self.num_refused += 1
        raise Busy(f"{detail} Nothing was identified; try again in a moment.", retry_after_s=RETRY_AFTER_S)
