"""What one connection may hold, and for how long: a real server, and clients that do not behave."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.web.connection import WatchedConnection
from app.web.server import allow_open_files, listen
from tests.serving import Server

LARGE = 40_000_000
HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Impatient(WatchedConnection):
    """Looks often, so that nobody waits here."""

    look_s = 0.2


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """``/slow`` takes some looks, ``/large`` has more than a socket holds; else how much came."""
    request = Request(scope, receive)
    try:
        body = await request.body()
    except ClientDisconnect:
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(5 * Impatient.look_s)
    await Response(b"x" * LARGE if scope["path"] == "/large" else f"{len(body)} bytes")(scope, receive, send)


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(answer, http=Impatient, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await running


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving() as port:
        yield port


@asynccontextmanager
async def connected(port: int, sent: bytes = b"") -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        yield reader, writer
    finally:
        writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server closes the connection."""
    async with asyncio.timeout(20):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n",
        b"GET / HTT",
        HEAD,
        HEAD + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\nabc",
    ],
    ids=["nothing", "an empty line", "half a line", "half a head", "one request", "half a body"],
)
async def test_a_connection_that_sends_no_more_is_closed(port: int, sent: bytes) -> None:
    async with connected(port, sent) as (reader, _):
        assert (b"200 OK" in await rest(reader)) == sent.endswith(b"\r\n\r\n")


async def test_a_head_that_trickles_is_closed(port: int) -> None:
    async with connected(port, HEAD) as (reader, writer):
        closed = asyncio.create_task(rest(reader))
        while not closed.done():
            writer.write(b"X-More: 1\r\n")
            await asyncio.sleep(Impatient.look_s / 10)
        assert await closed == b""


async def test_a_head_without_an_end_is_refused(port: int) -> None:
    async with connected(port, HEAD) as (reader, writer):
        refused = asyncio.create_task(rest(reader))
        for _ in range(1000):
            if refused.done():
                break
            writer.write(b"X-More: " + b"a" * 10_000 + b"\r\n")
            await asyncio.sleep(0.001)
        assert (await refused).startswith(b"HTTP/1.1 431 ")


async def test_a_large_head_is_read(port: int) -> None:
    cookie = b"Cookie: " + b"a" * 60_000 + b"\r\nConnection: close\r\n\r\n"
    async with connected(port, HEAD + cookie) as (reader, _):
        assert (await rest(reader)).endswith(b"0 bytes")


async def test_a_body_that_goes_on_coming_is_read_however_long_it_takes(port: int) -> None:
    size, piece = 400_000, 10_000
    head = f"POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n".encode()
    async with connected(port, head) as (reader, writer):
        for _ in range(size // piece):
            writer.write(b"b" * piece)
            await asyncio.sleep(Impatient.look_s / 10)
        assert (await rest(reader)).endswith(b"400000 bytes")


async def test_a_request_that_we_take_long_for_is_answered(port: int) -> None:
    async with connected(port, b"GET /slow HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n") as (
        reader,
        _,
    ):
        assert (await rest(reader)).endswith(b"0 bytes")


async def test_a_connection_that_takes_no_answer_is_cut(port: int) -> None:
    async with connected(port, b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n") as (reader, _):
        await asyncio.sleep(10 * Impatient.look_s)  # the reader stops by itself at its limit
        taken = await rest(reader)
        assert 0 < len(taken) < LARGE


@pytest.fixture
def few_open_files() -> Iterator[int]:
    """A process as most start: the most it may have is more than what it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1_024), hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_service_takes_as_many_open_files_as_it_may_have(few_open_files: int) -> None:
    allow_open_files()
    most = 65_536 if few_open_files == resource.RLIM_INFINITY else min(few_open_files, 65_536)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == most


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_service_itself_ends_such_a_head_and_goes_on_answering(server: Server) -> None:
    port = urlsplit(server.url).port
    assert port is not None
    async with connected(port, HEAD + b"X-More: " + b"a" * 1_000_000) as (reader, _):
        assert b"200 OK" not in await rest(reader)  # cut while it still sends: the refusal may not reach it
    assert httpx.get(f"{server.url}/livez").status_code == 200
