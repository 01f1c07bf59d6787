"""An admin adds a version in the browser: progress, refusals in words, the list of versions."""

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from models import bundle
from tests.e2e.conftest import NewWindow
from tests.e2e.test_whole_way import overflow
from tests.hostile_bundles import files_of, zipped
from tests.tiny_bundle import write_tiny_bundle

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good bundle of a model of its own, and one whose network was changed."""
    folder = tmp_path_factory.mktemp("zips")
    files = files_of(write_tiny_bundle(folder, "added-moths", "1.0.0", seed=7))
    made = {
        "good": zipped(files, "added-moths-1.0.0/"),
        "changed": zipped({**files, bundle.MODEL: files[bundle.MODEL] + b"\0"}),
    }
    for name, data in made.items():
        (folder / f"{name}.zip").write_bytes(data)
    return {name: folder / f"{name}.zip" for name in made}


async def send(page: Page, file: Path) -> None:
    await page.get_by_label("The bundle, as a zip").set_input_files(file)
    await page.get_by_role("button", name="Add it").click()


async def look(page: Page, name: str) -> None:
    """Into the folder of LIGHTTRAP_LOOK, for a person who wants to see it."""
    if folder := os.environ.get("LIGHTTRAP_LOOK"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("width", [1280, 390])
async def test_a_bundle_is_refused_in_words_and_a_good_one_added(
    new_window: NewWindow, zips: dict[str, Path], width: int
) -> None:
    async with new_window(admin=True, viewport={"width": width, "height": 844}) as page:
        await page.goto("/admin/models")
        await page.get_by_role("link", name="Add a version").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Add a version")
        await send(page, zips["changed"])
        refused = page.get_by_role("alert")
        await expect(refused).to_contain_text("This bundle is refused")
        await expect(refused).to_contain_text("model.onnx: its SHA-256 is not the one in SHA256SUMS")
        assert await overflow(page) == 0
        await look(page, f"refused-{width}")

        await send(page, zips["good"])
        await expect(page.locator("#progress-words")).to_contain_text("being checked")
        await look(page, f"checking-{width}")
        added = page.locator("#outcome").get_by_role("status")
        await expect(added).to_contain_text(re.compile(r"added-moths 1\.0\.0 was (added|there already)"))
        row = page.locator("#versions tr", has_text="added-moths 1.0.0")
        await expect(row).to_contain_text("ana")
        await expect(page.locator("#progress")).to_be_hidden()
        assert await overflow(page) == 0
        await look(page, f"added-{width}")
        await page.reload()
        await expect(page.locator("#outcome")).to_contain_text("added-moths 1.0.0 was")


async def test_the_form_works_without_a_script(new_window: NewWindow, zips: dict[str, Path]) -> None:
    async with new_window(admin=True, java_script_enabled=False) as page:
        await page.goto("/admin/models/add")
        await send(page, zips["changed"])
        await expect(page.get_by_role("alert")).to_contain_text("This bundle is refused")
        await send(page, zips["good"])
        await expect(page.locator("#outcome")).to_contain_text("added-moths 1.0.0 was")


async def test_a_file_that_is_too_large_is_not_even_sent(
    new_window: NewWindow, zips: dict[str, Path]
) -> None:
    async with new_window(admin=True) as page:
        await page.goto("/admin/models/add")
        await page.locator("#adding").evaluate("form => { form.dataset.maxBytes = '1000'; }")
        await send(page, zips["good"])
        await expect(page.get_by_role("alert")).to_contain_text("at most 0.0 MB are taken here")


async def test_a_broken_connection_is_said(new_window: NewWindow, zips: dict[str, Path]) -> None:
    async with new_window(admin=True) as page:
        await page.goto("/admin/models/add")
        await page.route("**/admin/models/add", lambda route: route.abort())
        await send(page, zips["good"])
        await expect(page.get_by_role("alert")).to_contain_text("The connection broke")
        await expect(page.get_by_role("button", name="Add it")).to_be_enabled()
