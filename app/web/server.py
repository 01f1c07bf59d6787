"""The HTTP server: uvicorn, which says at ``/readyz`` that it leaves, and leaves when all is answered."""

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Callable, Coroutine
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from app.settings import Settings
from app.web.connection import WatchedConnection

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap")


MOST_OPEN_FILES = 65_536


class AddressTaken(RuntimeError):
    """The address cannot be listened on; the message says which settings name it."""


class DrainingServer(uvicorn.Server):
    """Told to stop, it is unready first (load balancers look elsewhere), then closes and ends what it has."""

    def __init__(
        self, config: uvicorn.Config, app: FastAPI, notice_s: float, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._app, self._notice_s, self._on_ready = app, notice_s, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._on_ready()

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """Stop once. A second signal stops at once, whatever is still being answered."""
        if self._app.state.draining:
            self.should_exit = self.force_exit = True
            return
        self._app.state.draining = True
        notice_s = self._notice_s if sig == signal.SIGTERM else 0.0
        log.info("stopping", signal=signal.Signals(sig).name, notice_s=notice_s)
        self._loop.call_soon_threadsafe(self._loop.call_later, notice_s, self._close)

    def _close(self) -> None:
        self.should_exit = True


def run(service: Coroutine[None, None, None]) -> None:
    """Run the service to its end, on uvloop where there is one."""
    with asyncio.Runner(loop_factory=uvicorn.Config("", loop="auto").get_loop_factory()) as runner:
        runner.run(service)


def allow_open_files() -> None:
    """Have as many connections as the system lets a process have, not the 1,024 that most begin with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):  # not ours to have, and no reason to stop
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def listen(host: str, port: int) -> socket.socket:
    """A socket on this address. Raises AddressTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise AddressTaken(
            f"LIGHTTRAP_HOST is {host!r} and LIGHTTRAP_PORT is {port}: {reason}; "
            "expected an address of this machine and a port that nobody listens on"
        ) from error
    return listener


async def serve(
    app: FastAPI, settings: Settings, listener: socket.socket, on_ready: Callable[[], None] = lambda: None
) -> None:
    """Answer on this socket until a signal comes and everything in flight is answered."""
    config = uvicorn.Config(
        app,
        http=WatchedConnection,
        lifespan="off",  # ours is run around this, so that its errors reach the command line
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=settings.drain_s,
        timeout_keep_alive=30,
    )
    server = DrainingServer(config, app, settings.drain_notice_s, on_ready)
    await server.serve([listener])
