"""One connection of the server: gives up who sends no request, a head without an end, or takes no answer.

uvicorn waits for all of these for ever, and keeps what a head holds: as many silent connections as a process may
have open files would keep everybody else out, and one head without an end would fill the memory.
"""

import asyncio
from typing import Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class WatchedConnection(HttpToolsProtocol):
    """Looked at every ``look_s``. Whoever waits for us is left in peace.

    A head has from one look to the next but one to come whole. A body has to bring ``min_body_bytes`` from one
    look to the next, unless it is we who do not read. Of an answer something has to be taken.
    """

    look_s = 40.0  # longer than `multipart.IDLE_S`: a body of photos that stops is told so first
    max_head_bytes = 64 * 1024
    min_body_bytes = 10_000  # 250 bytes a second: far below the slowest mobile network

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look."""
        super().connection_made(transport)
        self._part: Literal["none", "head", "body"] = "none"
        self._num_bytes = self._num_head_bytes = self._num_untaken = 0
        self._is_new = self._began = True
        self._next_look = self.loop.call_later(self.look_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on. A head is as large as the pieces that come after its first one, which is small by itself."""
        self._num_bytes += len(data)
        self._began = False
        super().data_received(data)
        if self._part != "head" or self._began:
            return
        self._num_head_bytes += len(data)
        if self._num_head_bytes > self.max_head_bytes and not self.transport.is_closing():
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """The first bytes of a request are here."""
        super().on_message_begin()
        self._reach("head")
        self._num_head_bytes, self._began = 0, True

    def on_headers_complete(self) -> None:
        """The head of a request is here."""
        self._reach("body")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is here whole."""
        super().on_message_complete()
        self._reach("none")

    def _reach(self, part: Literal["none", "head", "body"]) -> None:
        self._part, self._is_new = part, True

    def _look(self) -> None:
        num_untaken = self.transport.get_write_buffer_size()
        if num_untaken and num_untaken == self._num_untaken:
            self.transport.abort()  # to close it would wait until the rest is taken
            return
        if not (self._is_new or self._is_our_turn() or self._comes_fast_enough()):
            self.transport.close()
        self._is_new, self._num_bytes, self._num_untaken = False, 0, num_untaken
        self._next_look = self.loop.call_later(self.look_s, self._look)

    def _is_our_turn(self) -> bool:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        return self.flow.read_paused or (is_answering and self._part == "none")

    def _comes_fast_enough(self) -> bool:
        return self._part == "body" and self._num_bytes >= self.min_body_bytes
