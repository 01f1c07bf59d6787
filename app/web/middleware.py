"""Around every request: its id, one line in the log, security headers, and an end to endless bodies.

Plain ASGI, so that answers stream. Nothing unexpected leaves as more than a problem with an id.
"""

import re
import time
from collections.abc import Mapping
from uuid import uuid4

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import PhotoTooLarge, UnreadableRequest
from app.web.problems import problem_response, unexpected

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.access")

REQUEST_ID = "X-Request-ID"
SMALL_BODY_BYTES = 1_000_000
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": with it browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_SANE_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


PROBES = ("/livez", "/readyz")
"""Asked by health checks and load balancers, under whatever address they know us by."""


class RequestContext:
    """Gives each request an id, security headers and a line in the log; answers what nobody expected."""

    def __init__(self, app: ASGIApp, *, trusted_hosts: tuple[str, ...] = ("*",), tls: bool = False) -> None:
        self._app = app
        self._trusted_hosts = trusted_hosts
        self._headers = dict(SECURITY_HEADERS)
        if tls:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.request_id = _request_id(request)
        seen = _Seen(request, send, self._headers)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.state.request_id)
        try:
            await self._answer(request, scope, receive, seen)
        finally:
            seen.write_log()

    async def _answer(self, request: Request, scope: Scope, receive: Receive, seen: "_Seen") -> None:
        named = is_trusted(request.headers.get("host", ""), self._trusted_hosts)
        if not named and scope["path"] not in PROBES:
            refusal = UnreadableRequest("This service does not go by the name in the Host header.")
            await problem_response(request, refusal)(scope, receive, seen)
            return
        try:
            await self._app(scope, receive, seen)
        except ClientDisconnect:
            seen.status = 499  # the customary number for "went away before the answer"
        except Exception as error:  # the boundary: whatever it is, it is logged and answered as a problem
            refusal_of_error = unexpected(error)
            if seen.status:
                raise  # half an answer is out: cut the connection
            await problem_response(request, refusal_of_error)(scope, receive, seen)


class _Seen:
    """Sends on, with the headers added, and remembers what the log will say."""

    def __init__(self, request: Request, send: Send, headers: Mapping[str, str]) -> None:
        self._request, self._send, self._headers = request, send, headers
        self._started = time.perf_counter()
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._request.state.request_id
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)

    def write_log(self) -> None:
        request = self._request
        write = log.debug if request.url.path in _PROBES else log.info
        write(
            "request",
            method=request.method,
            path=request.url.path,  # never the query: a set-up link's token is in it
            status=self.status or None,
            duration_ms=round((time.perf_counter() - self._started) * 1000, 1),
            client=request.client.host if request.client else None,
        )


class HeadAsGet:
    """HEAD wherever there is GET: what monitors and link checkers ask. The same answer, without its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_no_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, send_no_body)


class BodyLimit:
    """Refuses bodies over their address's limit: by Content-Length at once, else while they stream in.

    limits: bytes by a regular expression for the beginning of a path.
    """

    def __init__(self, app: ASGIApp, *, limits: Mapping[str, int], default: int = SMALL_BODY_BYTES) -> None:
        self._app, self._limits, self._default = app, limits, default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = _Body(receive, send, self._limit(scope["path"]))
        declared = request.headers.get("content-length", "0")
        if not (declared.isdecimal() and int(declared) > body.limit):
            await self._run(scope, body)
            if not body.exceeded or body.started:
                return
        refusal = PhotoTooLarge(f"The body is larger than {body.limit:,} bytes, the most that is taken here.")
        response = problem_response(request, refusal, headers={"Connection": "close"})
        await response(scope, receive, send)

    async def _run(self, scope: Scope, body: "_Body") -> None:
        try:
            await self._app(scope, body.receive, body.send)
        except PhotoTooLarge:
            if not body.exceeded:
                raise

    def _limit(self, path: str) -> int:
        return next(
            (limit for pattern, limit in self._limits.items() if re.match(pattern, path)), self._default
        )


class _Body:
    """Counts what comes in. Once it is too much, whatever the application answers is dropped."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive, self._send, self.limit = receive, send, limit
        self._num_bytes = 0
        self.exceeded = self.started = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._num_bytes += len(message.get("body", b""))
            if self._num_bytes > self.limit:
                self.exceeded = True
                raise PhotoTooLarge("The body is too large.")
        return message

    async def send(self, message: Message) -> None:
        if self.exceeded and not self.started:
            return
        self.started = True
        await self._send(message)


def _request_id(request: Request) -> str:
    given = request.headers.get(REQUEST_ID, "")
    return given if _SANE_ID.match(given) else uuid4().hex


def is_trusted(host: str, trusted: tuple[str, ...]) -> bool:
    """Whether a Host header names us. ``*`` is any, ``*.example.org`` any name below.

    >>> is_trusted("a.example.org:8000", ("*.example.org",)), is_trusted("evil.net", ("example.org",))
    (True, False)
    """
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    name = name.lower().strip("[]")
    return any(
        pattern == "*"
        or name == pattern.lower()
        or (pattern.startswith("*.") and name.endswith(pattern[1:].lower()))
        for pattern in trusted
    )
