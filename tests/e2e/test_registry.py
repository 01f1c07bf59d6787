"""An admin judges a candidate in a browser: compares, is refused, overrides, tries it in the shadow, rolls back."""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Site, served_from, set_up, window
from tests.e2e.test_whole_way import overflow
from tests.photo_zips import labelled_photos, zip_of
from tests.serving import Server
from tests.tiny_bundle import write_tiny_bundle

pytestmark = pytest.mark.asyncio(loop_scope="session")
WHY = "The test photos of the tail were mislabelled."
SCREENSHOTS = os.environ.get("REGISTRY_SCREENSHOTS")


@pytest.fixture(scope="module")
def registry(shared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with a candidate, 1.2.0, that loses half of the tail."""
    folder = tmp_path_factory.mktemp("registry")
    store = Path(shutil.copytree(shared_store, folder / "store"))
    write_tiny_bundle(store, "tiny-moths", "1.2.0", seed=5)
    server = served_from(folder, FOLLOW_S="0.2")
    yield server
    server.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site_of_registry(registry: Server, browser: Browser) -> Site:
    """Its admin ana is logged in."""
    return await set_up(registry, browser)


def opened(browser: Browser, site: Site, width: int = 1280) -> AbstractAsyncContextManager[Page]:
    options: dict[str, Any] = {"viewport": {"width": width, "height": 900}}
    return window(browser, site.url, site.admin, options)


async def photograph(page: Page, name: str) -> None:
    """Into the folder that REGISTRY_SCREENSHOTS names, wide and narrow; and no page is wider than its window."""
    for width in (1280, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await overflow(page) == 0, name
        if SCREENSHOTS:
            await page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width}.png", full_page=True)
    await page.set_viewport_size({"width": 1280, "height": 900})


async def test_compared_refused_overridden_and_taken_back(browser: Browser, site_of_registry: Site) -> None:
    async with opened(browser, site_of_registry) as page:
        await page.goto("/admin/models")
        worse = page.locator("#tiny-moths article", has=page.get_by_role("heading", name="1.2.0", exact=True))
        await expect(worse).to_contain_text("The gate refuses it in place of 1.0.0")
        await worse.get_by_role("link", name="Every group and species compared").click()
        await expect(page.get_by_text("on the same 56 test photos")).to_be_visible()
        await expect(page.locator("table", has_text="Named worse")).to_contain_text("points")
        await expect(page.locator("table", has_text="Size of the network")).to_contain_text("1.2.0")
        await photograph(page, "compare")

        await page.goto("/admin/models")
        await worse.get_by_label("Reason").fill("It is newer.")
        override = worse.get_by_label("Why it is right all the same")
        await override.evaluate("field => { field.required = false; field.minLength = 0 }")
        await worse.get_by_role("button", name="Override and promote 1.2.0").click()
        refused = page.get_by_role("alert")
        await expect(refused).to_contain_text("This version would make something worse")
        await expect(worse.get_by_label("Reason")).to_have_value("It is newer.")
        await photograph(page, "refused")

        await worse.get_by_label("Why it is right all the same").fill(WHY)
        await worse.get_by_role("button", name="Override and promote 1.2.0").click()
        await expect(page.get_by_role("status").first).to_contain_text(
            "tiny-moths 1.2.0 answers now, at epoch 2."
        )
        await expect(page.locator("#tiny-moths")).to_contain_text("1 of 1 replicas answer with epoch 2.")

        await page.get_by_role("button", name="Roll back to 1.0.0").click()  # one click: its reason is there
        await expect(page.get_by_role("status").first).to_contain_text(
            "tiny-moths 1.0.0 answers now, at epoch 3."
        )
        await page.locator("#tiny-moths").get_by_role("link", name="With every verdict").click()
        await expect(page.locator("main")).to_contain_text(WHY)
        await expect(page.locator("main")).to_contain_text("Something is wrong with 1.2.0.")
        await photograph(page, "history")


async def test_a_candidate_answers_in_the_shadow(
    browser: Browser, site_of_registry: Site, photos: list[Path]
) -> None:
    async with opened(browser, site_of_registry) as page:
        await page.goto("/admin/models")
        await page.locator("#tiny-moths").get_by_role("link", name="Try a candidate in the shadow").click()
        await page.get_by_label("Candidate").select_option("1.2.0")
        await page.get_by_label("Percent of the requests").fill("100")
        await page.get_by_label("Reason").fill("How often do the two differ here?")
        await page.get_by_role("button", name="Start the shadow").click()
        await expect(page.get_by_role("status")).to_contain_text("1.2.0 answers 100.0% of the requests")
        shadow = page.url
        await until_shown(page, page.get_by_role("status"), "0 compared")
        for number, photo in enumerate(photos, start=1):
            await page.goto("/")
            await page.locator("#photos").set_input_files(photo)
            # Earlier answers are shown again, so one of them is not yet the new one.
            await expect(page.locator("#answers article")).to_have_count(number)
        await page.goto(shadow)
        await until_shown(page, page.locator("tbody tr td").first, "7")
        await expect(
            page.locator("table", has_text="name or decide differently").locator("img").first
        ).to_be_visible()
        await photograph(page, "shadow")
        await page.get_by_label("Reason").fill("Seen enough.")
        await page.get_by_role("button", name="Stop the shadow").click()
        await expect(page.locator("main")).to_contain_text("1.2.0 stopped at 100.0%, by ana")


async def until_shown(page: Page, place: Locator, words: str) -> None:
    """Look at the page again until it says so there."""
    for _ in range(120):
        if words in await place.inner_text():
            return
        await page.wait_for_timeout(500)
        await page.reload()
    await expect(place).to_contain_text(words)


async def test_both_versions_name_a_set_of_ones_own(
    browser: Browser, site_of_registry: Site, tmp_path: Path
) -> None:
    photos = tmp_path / "photos.zip"
    photos.write_bytes(zip_of(labelled_photos(70)))
    async with opened(browser, site_of_registry) as page:
        await page.goto("/compare?model=tiny-moths&version=1.2.0&with=1.0.0")
        await page.get_by_label("Zip, at most").set_input_files(photos)
        await page.get_by_role("button", name="Evaluate both").click()
        await page.wait_for_url("**/trials/*/page")
        await photograph(page, "trial")
        await expect(page.get_by_text("on the same 70 test photos")).to_be_visible(timeout=120_000)
        await photograph(page, "trial-done")
