"""From the set-up link to a promotion, as a newcomer goes; and two admins who promote at once."""

import os
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from tests.e2e.conftest import NewWindow
from tests.e2e.test_identify import drop

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "screenshots"


async def see_every_plot(page: Page) -> None:
    plots = page.locator("[data-figure]")
    await expect(plots).to_have_count(5)
    for plot in await plots.all():
        await plot.scroll_into_view_if_needed()
        await expect(plot.locator("svg.main-svg").first).to_be_visible()


async def promote_the_candidate(page: Page) -> str:
    """Promote what is not deployed of tiny-moths; its version."""
    card = page.locator("#tiny-moths article", has=page.locator("form"))
    version = await card.get_by_role("heading", level=3).inner_text()
    await card.get_by_label("Reason").fill("It finds more of the tail.")
    await card.get_by_role("button").click()
    return version


async def test_a_newcomer_goes_from_a_photo_to_a_promotion(new_window: NewWindow, photos: list[Path]) -> None:
    async with new_window(admin=True) as page:
        await page.goto("/")
        await drop(page, photos[0])
        await page.locator("#answers article").wait_for()

        await page.get_by_role("link", name="Identifications", exact=True).click()
        first = page.locator("a.record").first
        await expect(first).to_contain_text("Aurelia ferruginea")
        await first.click()
        await expect(page.get_by_role("heading", level=2)).to_have_text("Aurelia ferruginea")

        await page.get_by_role("link", name="Species", exact=True).click()
        await page.get_by_role("link", name="Training images").click()
        counts = await page.locator("td[data-label='Training images']").all_inner_texts()
        assert [int(count) for count in counts] == [40, 24, 12, 9, 4, 2, 1]
        await page.get_by_label("Find a name").fill("hush")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(page.locator("tbody")).to_contain_text("Silentia lutea")

        await page.goto("/performance?model=tiny-moths")
        await see_every_plot(page)
        await page.get_by_role("link", name="Promote it under Models").click()
        version = await promote_the_candidate(page)
        await expect(page.get_by_role("status")).to_contain_text(f"tiny-moths {version} answers now")
        await page.goto("/performance?model=tiny-moths")
        await expect(page.locator("#model-heading")).to_contain_text(version)


async def test_who_promotes_second_is_told_what_the_first_one_did(new_window: NewWindow) -> None:
    async with new_window(admin=True) as first, new_window(admin=True) as second:
        await first.goto("/admin/models")
        await second.goto("/admin/models")
        version = await promote_the_candidate(first)
        await first.get_by_role("status").wait_for()
        await promote_the_candidate(second)
        refused = second.get_by_role("alert")
        await expect(refused).to_contain_text("Somebody promoted in between")
        await expect(refused).to_contain_text(f"ana deployed {version}")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_is_wider_than_the_window(
    new_window: NewWindow, photos: list[Path], width: int, scheme: str
) -> None:
    async with new_window(admin=True, viewport={"width": width, "height": 844}, color_scheme=scheme) as page:
        await page.goto("/")
        await page.locator("#photos").set_input_files(photos[1])
        await page.locator("#answers article").wait_for()
        assert await overflow(page) == 0
        for path in (
            "/identifications",
            "/species",
            "/performance",
            "/compare?model=tiny-moths&version=1.1.0&with=1.0.0",
            "/admin/models",
            "/admin/models/tiny-moths/history",
            "/admin/users",
            "/account",
            "/docs",
            "/nothing",
        ):
            await page.goto(path)
            assert await overflow(page) == 0, path


async def overflow(page: Page) -> int:
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return int(await page.evaluate(wider))


async def test_the_readmes_screenshots_can_be_taken_of_a_drawn_photo(
    new_window: NewWindow, photos: list[Path], tmp_path: Path
) -> None:
    """Into docs/screenshots with LIGHTTRAP_SCREENSHOTS=1; else they are only looked at here."""
    folder = SCREENSHOTS if "LIGHTTRAP_SCREENSHOTS" in os.environ else tmp_path
    async with new_window(viewport={"width": 1120, "height": 900}) as page:
        await page.goto("/")
        await page.locator("#photos").set_input_files(photos[2])
        await page.locator("#answers img").first.wait_for()
        await page.wait_for_load_state("networkidle")
        await page.screenshot(path=folder / "identify.png", full_page=True)
        await page.goto("/performance?model=tiny-moths")
        await see_every_plot(page)
        await page.evaluate("window.scrollTo(0, 0)")
        clip = {"x": 0, "y": 0, "width": 1120, "height": 1500}
        await page.screenshot(path=folder / "performance.png", full_page=True, clip=clip)  # type: ignore[arg-type]
    for name in ("identify.png", "performance.png"):
        with Image.open(folder / name) as taken:
            assert taken.width == 1120
            assert len(taken.convert("RGB").resize((64, 64)).getcolors(4096) or []) > 50, (
                "next to nothing on it"
            )
