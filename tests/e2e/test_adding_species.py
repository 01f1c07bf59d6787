"""An admin adds a species in the browser: the form, a refusal in words, what was made, and where it is marked."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.drawn_photos import new_moth
from tests.e2e.conftest import NewWindow
from tests.e2e.test_adding import look, send
from tests.e2e.test_whole_way import overflow
from tests.hostile_bundles import files_of, zipped
from tests.tiny_bundle import write_tiny_bundle

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("new species")
    files = [folder / f"moth {seed}.jpg" for seed in range(5)]
    for seed, file in enumerate(files):
        file.write_bytes(new_moth(seed))
    return files


async def add(page: Page, model: str, name: str, files: list[Path]) -> None:
    await page.get_by_label("Model").select_option(model)
    await page.get_by_label("Scientific name").fill(name)
    await page.get_by_label("Photos of it").set_input_files(files)
    await page.get_by_role("button", name="Add the species").click()


@pytest.mark.parametrize("width", [1280, 390])
async def test_a_species_is_refused_in_words_and_a_good_one_added(
    new_window: NewWindow, photos: list[Path], tmp_path: Path, width: int
) -> None:
    model = f"growing-moths-{width}"
    bundle = tmp_path / "growing.zip"
    bundle.write_bytes(zipped(files_of(write_tiny_bundle(tmp_path, model, with_unknown=True)), "growing/"))
    async with new_window(admin=True, viewport={"width": width, "height": 844}) as page:
        await page.goto("/admin/models/add")
        await send(page, bundle)
        await expect(page.get_by_role("status").filter(has_text="was added")).to_be_visible(timeout=60_000)

        await page.goto("/admin/models")
        await page.get_by_role("link", name="Add a species").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Add a species")
        assert await overflow(page) == 0
        await add(page, model, "Aurelia viridis", photos[:1])
        await expect(page.get_by_role("alert")).to_contain_text("in the species list already")
        assert await overflow(page) == 0
        await look(page, f"species-refused-{width}")

        await add(page, model, "Nova alba", photos)
        made = page.get_by_role("status")
        await expect(made).to_contain_text(f"{model} 1.1.0 was made")
        await expect(made).to_contain_text("added from 5 photos and not tested")
        assert await overflow(page) == 0
        await look(page, f"species-added-{width}")
