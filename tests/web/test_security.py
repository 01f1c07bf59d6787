import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from app.main import create_app
from app.settings import Settings
from app.web.middleware import SMALL_BODY_BYTES
from tests.web.conftest import connect

PAGES = (
    "/",
    "/identifications",
    "/species",
    "/performance",
    "/admin/models",
    "/docs",
    "/login",
    "/setup",
    "/problems/busy",
    "/openapi.json",
)
EXAMPLES = {"name": "tiny-moths", "version": "1.0.0"}


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/models", "/nowhere", "/login", "/livez"):
        headers = (await client.get(path, headers={"Accept": "text/html"})).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "'unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers


async def test_pages_hold_no_inline_script_or_style(client: httpx.AsyncClient) -> None:
    for path in (*PAGES[:-1], "/nowhere"):
        page = (await client.get(path, headers={"Accept": "text/html"})).text
        assert "<script>" not in page
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick=" not in page


@pytest.mark.parametrize(
    "path", ["/", "/livez", "/readyz", "/models", "/species", "/static/app/0/app.css", "/no"]
)
async def test_head_is_answered_as_get_without_the_body(client: httpx.AsyncClient, path: str) -> None:
    whole, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers.get("content-length") == whole.headers.get("content-length")
    assert (await client.head("/predict")).status_code == 405


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abcdefgh", True), ("a-b.c_D9" * 8, True), ("short", False), ("x" * 65, False), ("evil\tline", False)],
)
async def test_a_sane_request_id_is_kept(client: httpx.AsyncClient, given: str, kept: bool) -> None:
    answer = await client.get("/models", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) is kept


async def test_an_unknown_parameter_is_refused_on_every_route(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    paths = [path for path, operations in app.openapi()["paths"].items() if "get" in operations]
    assert len(paths) > 5
    for path in [*paths, *PAGES]:
        concrete = re.sub(r"{(\w+)}", lambda part: EXAMPLES.get(part[1], "0"), path)
        answer = await client.get(concrete, params={"no_such_parameter": "1"})
        assert answer.status_code == 422, path
        assert answer.json()["errors"][0]["field"] == "no_such_parameter"


async def chunks(num_bytes: int) -> AsyncIterator[bytes]:
    while num_bytes > 0:
        yield b"x" * min(100_000, num_bytes)
        num_bytes -= 100_000


@pytest.mark.parametrize("path", ["/login", "/setup", "/models/tiny-moths/promote"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_body_over_the_limit_is_refused_whether_announced_or_not(
    client: httpx.AsyncClient, path: str, streamed: bool
) -> None:
    content = chunks(SMALL_BODY_BYTES + 1) if streamed else b"x" * (SMALL_BODY_BYTES + 1)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.post(path, content=content, headers=form)
    assert answer.status_code == 413
    assert answer.json()["type"] == "/problems/photo-too-large"
    assert "1,000,000 bytes" in answer.json()["detail"]


async def test_reading_stops_at_the_limit(app: FastAPI) -> None:
    seen = 0

    async def swallow(request: Request) -> dict[str, int]:
        nonlocal seen
        async for chunk in request.stream():
            seen += len(chunk)
        return {"seen": seen}

    app.add_api_route("/swallow", swallow, methods=["POST"])
    async with connect(app) as client:
        answer = await client.post("/swallow", content=chunks(50 * SMALL_BODY_BYTES))
        assert answer.status_code == 413
        assert seen <= SMALL_BODY_BYTES
        assert (await client.post("/swallow", content=chunks(SMALL_BODY_BYTES))).status_code == 200


async def test_a_name_that_is_not_ours_is_not_answered(settings: Settings, app: FastAPI) -> None:
    strict = create_app(settings.model_copy(update={"trusted_hosts": ("moths.example.org", "*.example.net")}))
    async with strict.router.lifespan_context(strict), connect(strict) as client:
        for host, status in (("moths.example.org", 200), ("a.example.net:8000", 200), ("evil.net", 400)):
            assert (await client.get("/models", headers={"Host": host})).status_code == status


async def test_a_bad_key_is_refused_even_where_none_is_needed(client: httpx.AsyncClient) -> None:
    assert (await client.get("/models", headers={"Authorization": "Bearer made-up"})).status_code == 401


async def test_a_made_up_cookie_is_nobody(client: httpx.AsyncClient) -> None:
    client.cookies.set("lighttrap", "made-up")
    assert (await client.get("/models")).status_code == 200
    assert (await client.get("/models/tiny-moths/history")).status_code == 401


async def test_the_log_never_holds_the_query(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await client.get("/setup", params={"token": "one-time-token"})
    written = capsys.readouterr()
    assert "path=/setup" in written.out
    assert "one-time-token" not in written.out + written.err
