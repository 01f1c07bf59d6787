"""Checklists in a real browser: an admin adds one, and a photo of that place is answered with it, and why."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import NewWindow

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_checklist_is_looked_at_then_used_for_photos_of_its_place(
    new_window: NewWindow, photos: list[Path], tmp_path: Path
) -> None:
    file = tmp_path / "meadow.csv"
    file.write_text("scientific_name,weeks\nAurelia viridis,20-30\nCandela striatta,\n")
    async with new_window(admin=True) as page:
        await page.goto("/admin/checklists?model=tiny-moths")
        await page.get_by_label("Name of the checklist").fill("Meadow")
        await page.get_by_label("CSV file").set_input_files(file)
        for label, value in (("Latitude", "47.2"), ("Longitude", "11.4"), ("Radius, km", "20")):
            await page.get_by_label(label).fill(value)
        await page.get_by_role("button", name="See what matches").click()
        preview = page.locator("#preview")
        await expect(preview).to_contain_text("1 of its 2 names are species of version 1.0.0")
        await expect(preview.get_by_role("row", name="Candela striatta")).to_contain_text("Candela striata")
        await page.get_by_role("button", name="Use this checklist").click()
        await expect(page.get_by_role("status")).to_contain_text("in use")
        await page.goto("/")
        await page.get_by_text("Place, date and why").click()
        await page.get_by_label("Show why").check()
        await page.get_by_label("Date").fill("2024-07-01")
        await page.get_by_label("Latitude").fill("47.25")
        await page.get_by_label("Longitude").fill("11.45")
        await page.locator("#photos").set_input_files(photos[0])
        plate = page.locator("#answers article")
        await expect(plate).to_contain_text("Checklist Meadow, chosen by the photo's place")
        await expect(plate).to_contain_text("without the checklist")
        await expect(plate.get_by_role("heading", name="Why this answer")).to_be_visible()
        await expect(plate.locator(".nearest li")).to_have_count(6)
        loaded = await plate.locator(".explanation img").evaluate_all(
            "all => all.every(i => i.naturalWidth > 0)"
        )
        assert loaded, "heatmap and small pictures must be shown under the page's own policy"
        await page.get_by_label("What is expected there").select_option("none")
        await page.locator("#photos").set_input_files(photos[1])
        await expect(plate).to_have_count(2)
        await expect(plate.first).not_to_contain_text("Checklist Meadow")
        await page.goto("/admin/checklists?model=tiny-moths")
        await page.get_by_role("button", name="Do not use it any more").click()
        await expect(page.get_by_text("No checklist is in use")).to_be_visible()
