"""One real server and one real browser for all tests here; each test gets a window of its own.

Every window is watched: an error on its console, or a request to another host, fails the test.
"""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from tests.drawn_photos import draw_moth, encode
from tests.serving import Server
from tests.web.conftest import PASSWORD

NO_BROWSER = "No Chromium was found: install it (Debian: apt-get install chromium) to run the browser tests."
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Site:
    """The running service, and the cookies of its admin."""

    url: str
    admin: Any


class NewWindow(Protocol):
    """Opens a window; leaving it checks what the browser complained about."""

    def __call__(self, *, admin: bool = False, **options: Any) -> AbstractAsyncContextManager[Page]: ...


@dataclass
class Watch:
    """What went wrong in a window."""

    url: str
    faults: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("request", self._see)

    def _hear(self, message: ConsoleMessage) -> None:
        # Chromium reports every answer of 400 and above there; those are the tests' own business.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(f"console: {message.text}")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.url, "blob:", "data:")):
            self.faults.append(f"another host: {request.url}")


@pytest.fixture(scope="session")
def served(shared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service on SQLite, with tiny bundles."""
    folder = tmp_path_factory.mktemp("e2e")
    shutil.copytree(shared_store, folder / "store")  # tests here add to it
    server = served_from(folder)
    yield server
    server.kill()


def served_from(folder: Path, **more: str) -> Server:
    """The service on SQLite, with the bundles in ``folder/store``."""
    settings = {
        "DATA_DIR": str(folder / "var"),
        "STORE": str(folder / "store"),
        "DEFAULT_MODEL": "tiny-moths",
        "PROVIDER": "cpu",
        "DECODE_WORKERS": "1",
        "DECODE_TIMEOUT_S": "60",
        **more,
    }
    return Server(settings, folder / "server.log").start()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(served: Server, browser: Browser) -> Site:
    """The service after its set-up link was used, in the browser."""
    return await set_up(served, browser)


async def set_up(server: Server, browser: Browser) -> Site:
    """Use the set-up link: the admin ana is logged in."""
    async with window(browser, server.url, None, {}) as page:
        await page.goto(f"{server.url}/setup?token={server.setup_token}")
        await page.get_by_label("Account name").fill("ana")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Make the admin account").click()
        await page.get_by_role("button", name="Sign out").wait_for()
        assert page.url == f"{server.url}/"
        return Site(server.url, await page.context.storage_state())


@pytest.fixture(scope="session")
def new_window(site: Site, browser: Browser) -> NewWindow:
    """Opens windows on the site, as a visitor or as its admin."""

    def opened(*, admin: bool = False, **options: Any) -> AbstractAsyncContextManager[Page]:
        return window(browser, site.url, site.admin if admin else None, options)

    return opened


@asynccontextmanager
async def window(browser: Browser, url: str, state: Any, options: dict[str, Any]) -> AsyncIterator[Page]:
    """A page of a browser with these cookies; no fault may be heard of in it."""
    settings = {"viewport": {"width": 1280, "height": 900}, **options}
    context = await browser.new_context(base_url=url, storage_state=state, **settings)
    context.set_default_timeout(30_000)
    watch = Watch(url)
    context.on("page", watch.follow)
    page = await context.new_page()
    yield page
    await context.close()
    assert watch.faults == []


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A drawn photo of each kind of moth, as files."""
    folder = tmp_path_factory.mktemp("photos")
    files = [folder / f"moth-{kind}.jpg" for kind in range(7)]
    for kind, file in enumerate(files):
        file.write_bytes(encode(draw_moth(kind, seed=5000 + kind, size=(900, 700))))
    return files
