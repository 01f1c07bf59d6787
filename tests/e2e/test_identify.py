"""The page that identifies, in a real browser: drop, choose, break something, do without JavaScript."""

import base64
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from app.settings import Settings
from tests.e2e.conftest import NewWindow

DEFAULT_MAX_BYTES: int = Settings.model_fields["max_photo_bytes"].default

pytestmark = pytest.mark.asyncio(loop_scope="session")

DROP = """([encoded, name]) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  const target = document.getElementById("drop");
  for (const type of ["dragenter", "dragover", "drop"])
    target.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


async def drop(page: Page, photo: Path) -> None:
    await page.evaluate(DROP, [base64.b64encode(photo.read_bytes()).decode(), photo.name])


async def test_a_dropped_photo_becomes_a_plate_with_name_probability_and_evidence(
    new_window: NewWindow, photos: list[Path]
) -> None:
    async with new_window() as page:
        await page.goto("/")
        await drop(page, photos[0])
        plate = page.locator("#answers article")
        await expect(plate.get_by_role("heading", level=2)).to_have_text("Aurelia ferruginea")
        await expect(plate).to_contain_text("Rusty Lantern")
        await expect(plate.locator(".chance .figure")).to_have_text(re.compile(r"^(over )?\d\d%$"))
        await expect(plate.locator(".evidence")).to_contain_text("40 training images")
        await expect(plate.locator(".evidence")).to_contain_text(re.compile(r"recall 100% \(68–100%\)"))
        await expect(plate.get_by_text("Groups: head")).to_be_visible()
        await expect(page.locator("#status")).to_contain_text("Aurelia ferruginea, Rusty Lantern")
        assert await page.evaluate("document.activeElement.tagName") == "H2", (
            "the reader goes on in the answer"
        )


async def test_each_of_several_photos_gets_its_own_plate(new_window: NewWindow, photos: list[Path]) -> None:
    async with new_window() as page:
        await page.goto("/")
        await page.locator("#photos").set_input_files(photos[:3])
        await expect(page.locator("#answers article")).to_have_count(3)
        await expect(page.locator("#queue li")).to_have_count(0)


async def test_plates_of_one_choice_keep_the_order_of_their_files_whichever_is_answered_first(
    new_window: NewWindow, photos: list[Path]
) -> None:
    asked: list[Route] = []

    async def hold_the_first(route: Route) -> None:
        asked.append(route)
        if len(asked) > 1:
            await route.continue_()

    async with new_window() as page:
        await page.goto("/")
        await page.route("**/predict*", hold_the_first)
        await page.locator("#photos").set_input_files(photos[:3])
        files = page.locator("#answers article .file")
        await expect(files).to_have_text([photo.name for photo in photos[1:3]])
        await asked[0].continue_()
        await expect(files).to_have_text([photo.name for photo in photos[:3]])
        await page.reload()
        await expect(files).to_have_text([photo.name for photo in photos[:3]])
        await page.locator("#photos").set_input_files(photos[3])
        await expect(files).to_have_text([photos[3].name, *(photo.name for photo in photos[:3])])


async def test_answers_are_there_again_on_the_way_back_and_after_loading_anew_until_they_are_cleared(
    new_window: NewWindow, photos: list[Path]
) -> None:
    async with new_window() as page:
        await page.goto("/")
        await page.locator("#photos").set_input_files(photos[0])
        plates = page.locator("#answers article")
        await expect(plates).to_have_count(1)
        await page.locator("#photos").set_input_files(photos[1])
        await expect(plates).to_have_count(2)
        shown = await plates.locator("h2").all_inner_texts()
        await page.goto("/performance")
        await page.go_back()
        await expect(plates).to_have_count(2)
        await page.reload()
        await expect(plates).to_have_count(2)
        assert await plates.locator("h2").all_inner_texts() == shown, "the newest first, as before"
        await page.get_by_role("button", name="Clear these answers").click()
        await expect(plates).to_have_count(0)
        await page.reload()
        await expect(page.get_by_role("button", name="Clear these answers")).to_be_hidden()
        await expect(plates).to_have_count(0)


async def test_answers_that_are_cleared_while_they_come_back_stay_away(
    new_window: NewWindow, photos: list[Path]
) -> None:
    held: list[Route] = []

    async def hold_the_second(route: Route) -> None:
        held.append(route)
        if len(held) == 1:
            await route.continue_()

    async with new_window() as page:
        await page.goto("/")
        await page.locator("#photos").set_input_files(photos[:2])
        plates = page.locator("#answers article")
        await expect(plates).to_have_count(2)
        await page.route("**/identifications/*fragment=1", hold_the_second)
        await page.reload()
        await expect(plates).to_have_count(1)
        await page.get_by_role("button", name="Clear these answers").click()
        async with page.expect_response("**/identifications/*fragment=1"):
            await held[1].continue_()
        await page.wait_for_timeout(200)
        await expect(plates).to_have_count(0)


async def test_an_earlier_answer_that_this_person_may_not_see_is_left_out(
    new_window: NewWindow, photos: list[Path]
) -> None:
    async with new_window() as page:
        await page.goto("/")
        await page.locator("#photos").set_input_files(photos[0])
        await expect(page.locator("#answers article")).to_have_count(1)
        await page.evaluate("""() => {
          const [kept] = JSON.parse(sessionStorage.getItem("answers"));
          const other = { id: "00000000000000000000000000000000", file: "other.jpg" };
          sessionStorage.setItem("answers", JSON.stringify([other, 7, null, "text", kept]));
        }""")
        await page.reload()
        await expect(page.locator("#answers article")).to_have_count(1)
        await page.evaluate("sessionStorage.setItem('answers', '{')")
        await page.reload()
        await expect(page.locator("#answers article")).to_have_count(0)


async def test_photos_of_one_animal_get_one_common_plate(new_window: NewWindow, photos: list[Path]) -> None:
    async with new_window() as page:
        await page.goto("/")
        await page.get_by_label("These photos show one animal").check()
        await page.locator("#photos").set_input_files([photos[0], photos[0], photos[0]])
        await expect(page.locator("#answers article")).to_have_count(1)
        await expect(page.locator("#answers article img")).to_have_count(3)


async def test_another_species_list_answers_when_it_is_chosen(
    new_window: NewWindow, photos: list[Path]
) -> None:
    async with new_window() as page:
        await page.goto("/")
        await page.get_by_label("Species list").select_option("other-moths")
        await page.locator("#photos").set_input_files(photos[0])
        await expect(page.locator("#answers .facts")).to_contain_text("other-moths 1.0.0")


async def test_a_file_that_is_no_photo_says_why_and_can_be_removed(
    new_window: NewWindow, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.jpg"
    letter.write_text("Dear moths,")
    async with new_window() as page:
        await page.goto("/")
        await page.locator("#photos").set_input_files(letter)
        row = page.locator("#queue li")
        await expect(row).to_contain_text("Not a photo format that can be read here")
        await expect(page.locator("#status")).to_contain_text("letter.jpg")
        retry = row.get_by_role("button", name="Try letter.jpg again")
        await expect(retry, "it would be refused again").to_be_hidden()
        await row.get_by_role("button", name="Remove letter.jpg").click()
        await expect(row).to_have_count(0)


async def test_a_file_with_nothing_in_it_is_named(
    new_window: NewWindow, photos: list[Path], tmp_path: Path
) -> None:
    half_copied = tmp_path / "half-copied.jpg"
    half_copied.touch()
    async with new_window() as page:
        await page.goto("/")
        await page.locator("#photos").set_input_files([half_copied, photos[0]])
        await expect(page.locator("#complaint")).to_contain_text("There is nothing in half-copied.jpg")
        await expect(page.locator("#answers article")).to_have_count(1)


async def test_a_file_that_is_too_large_is_named_before_it_is_sent(
    new_window: NewWindow, photos: list[Path], tmp_path: Path
) -> None:
    large = tmp_path / "large.tif"
    with large.open("wb") as stream:
        stream.truncate(DEFAULT_MAX_BYTES + 1)
    async with new_window() as page:
        await page.goto("/")
        await page.locator("#photos").set_input_files([large, photos[0]])
        await expect(page.locator("#complaint")).to_contain_text(
            f"{DEFAULT_MAX_BYTES // 10**6} MB: large.tif ("
        )
        await expect(page.locator("#answers article")).to_have_count(1)
        await expect(page.locator("#queue li"), "it is not sent").to_have_count(0)


async def test_what_was_wrong_in_the_form_is_mended_and_tried_again(
    new_window: NewWindow, photos: list[Path]
) -> None:
    async with new_window() as page:
        await page.goto("/")
        await page.get_by_text("Place, date and why").click()
        await page.get_by_label("Latitude").fill("north")
        await page.get_by_label("Longitude").fill("11,4")
        await page.locator("#photos").set_input_files(photos[0])
        await expect(page.locator("#queue li")).to_contain_text("expected degrees with decimals")
        await page.get_by_label("Latitude").fill("47,2")
        await page.get_by_role("button", name="Try moth-0.jpg again").click()
        await expect(page.locator("#answers article")).to_have_count(1)


async def test_a_photo_is_tried_again_under_the_same_key_so_that_no_answer_is_made_twice(
    new_window: NewWindow, photos: list[Path]
) -> None:
    keys: list[str] = []

    async def lose_the_first(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        await (route.abort("connectionreset") if len(keys) == 1 else route.continue_())

    async with new_window() as page:
        await page.route("**/predict", lose_the_first)
        await page.goto("/")
        await page.locator("#photos").set_input_files(photos[0])
        await expect(page.locator("#queue li")).to_contain_text("no photo is identified twice")
        await page.get_by_role("button", name="Try moth-0.jpg again").click()
        await expect(page.locator("#answers article")).to_have_count(1)
        await page.locator("#photos").set_input_files(photos[0])
        await expect(page.locator("#answers article"), "chosen anew").to_have_count(2)
    assert (keys[0] == keys[1], keys[1] == keys[2]) == (True, False)


async def test_the_keyboard_alone_reaches_the_photo_chooser_and_shows_where_it_is(
    new_window: NewWindow,
) -> None:
    async with new_window() as page:
        await page.goto("/")
        await page.keyboard.press("Tab")
        await expect(page.get_by_text("Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.locator("#photos")).to_be_focused()
        outline = "getComputedStyle(document.querySelector('label[for=photos]')).outlineStyle"
        assert await page.evaluate(outline) == "solid"


async def test_the_form_works_without_javascript(new_window: NewWindow, photos: list[Path]) -> None:
    async with new_window(java_script_enabled=False) as page:
        await page.goto("/")
        await page.locator("#photos").set_input_files(photos[0])
        await page.get_by_role("button", name="Identify").click()
        await expect(page).to_have_url(re.compile(r"/identifications/[0-9a-f-]{36}$"))
        await expect(page.get_by_role("heading", level=2)).to_have_text("Aurelia ferruginea")


async def test_a_form_without_a_photo_is_told_so_on_a_page(new_window: NewWindow) -> None:
    async with new_window(java_script_enabled=False) as page:
        await page.goto("/")
        await page.get_by_role("button", name="Identify").click()
        await expect(page.locator("main")).to_contain_text("choose at least one photo")
