import shutil
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.db.session import Sessions
from app.db.tables import PromotionRow, VersionRow
from app.errors import InternalError, NotFound
from app.services import registry
from app.services.papers import papers_of
from app.services.promotion import history_of
from app.services.registry import prepare_registry
from app.services.scan import scan_store
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture
def store(shared_store: Path, tmp_path: Path) -> Path:
    """A copy of the store that this test may damage."""
    return Path(shutil.copytree(shared_store, tmp_path / "store"))


async def deployed(sessions: Sessions) -> dict[str, tuple[str, int]]:
    async with sessions() as session:
        summaries = await registry.list_models(session)
    return {
        summary.name: (summary.deployed.version, summary.deployed.epoch)
        for summary in summaries
        if summary.deployed is not None
    }


async def test_the_lowest_version_of_each_model_is_deployed_first(sessions: Sessions, store: Path) -> None:
    assert await prepare_registry(sessions, store) == []
    assert await deployed(sessions) == {"other-moths": ("1.0.0", 1), "tiny-moths": ("1.0.0", 1)}


async def test_versions_are_ordered_as_numbers(sessions: Sessions, store: Path) -> None:
    write_tiny_bundle(store, "tiny-moths", "1.10.0", seed=4)
    write_tiny_bundle(store, "tiny-moths", "1.9.0", seed=5)
    await prepare_registry(sessions, store)
    async with sessions() as session:
        tiny = await registry.get_model(session, "tiny-moths")
    assert [row.version for row in tiny.versions] == ["1.0.0", "1.1.0", "1.9.0", "1.10.0"]


async def test_a_second_start_changes_nothing(sessions: Sessions, store: Path) -> None:
    async def counts() -> list[int | None]:
        async with sessions() as session:
            return [
                await session.scalar(select(func.count()).select_from(table))
                for table in (VersionRow, PromotionRow)
            ]

    await prepare_registry(sessions, store)
    before = await counts()
    assert await prepare_registry(sessions, store) == []
    assert await counts() == before == [3, 2]


async def test_a_new_version_of_a_known_model_is_a_candidate(sessions: Sessions, store: Path) -> None:
    await prepare_registry(sessions, store)
    write_tiny_bundle(store, "tiny-moths", "0.9.0", seed=6)
    await prepare_registry(sessions, store)
    assert (await deployed(sessions))["tiny-moths"] == ("1.0.0", 1)


async def test_a_new_model_of_a_later_start_waits_for_an_admin(sessions: Sessions, store: Path) -> None:
    await prepare_registry(sessions, store)
    before = await deployed(sessions)
    write_tiny_bundle(store, "aaa-moths", "1.0.0", seed=6)
    for _ in range(2):
        assert await prepare_registry(sessions, store) == []
        assert await deployed(sessions) == before
    async with sessions() as session:
        assert (await registry.get_model(session, "aaa-moths")).deployed is None


async def test_what_somebody_added_before_the_first_start_is_not_deployed_by_it(
    sessions: Sessions, store: Path
) -> None:
    async with sessions() as session:
        found = next(each for each in scan_store(store).found if each.name == "other-moths")
        await registry.add_version(session, found, actor="ana")
        await session.commit()
    assert await prepare_registry(sessions, store) == []
    assert await deployed(sessions) == {"tiny-moths": ("1.0.0", 1)}


async def test_a_cut_off_bundle_is_named_and_the_others_serve(sessions: Sessions, store: Path) -> None:
    broken = store / "tiny-moths" / "1.0.0" / "model.onnx"
    broken.write_bytes(broken.read_bytes()[:-100])
    (fault,) = await prepare_registry(sessions, store)
    assert fault.path == "tiny-moths/1.0.0"
    assert fault.message.startswith("model.onnx: ")
    assert await deployed(sessions) == {"other-moths": ("1.0.0", 1), "tiny-moths": ("1.1.0", 1)}


async def test_a_changed_bundle_under_an_old_version_is_refused(sessions: Sessions, store: Path) -> None:
    await prepare_registry(sessions, store)
    shutil.rmtree(store / "other-moths" / "1.0.0")
    write_tiny_bundle(store, "other-moths", "1.0.0", seed=9)
    (fault,) = await prepare_registry(sessions, store)
    assert fault.path == "other-moths/1.0.0"
    assert "versions are immutable" in fault.message


async def test_a_bundle_in_the_wrong_folder_is_refused(sessions: Sessions, store: Path) -> None:
    (store / "other-moths" / "1.0.0").rename(store / "other-moths" / "2.0.0")
    (fault,) = await prepare_registry(sessions, store)
    assert "says it is other-moths 1.0.0, but lies in other-moths/2.0.0" in fault.message


async def test_a_registered_bundle_that_went_away_is_missed(sessions: Sessions, store: Path) -> None:
    await prepare_registry(sessions, store)
    shutil.rmtree(store / "other-moths")
    (fault,) = await prepare_registry(sessions, store)
    assert str(fault).startswith(
        "other-moths/1.0.0: is registered, but its folder is not in the store any more; put it back"
    )


async def test_an_update_that_ships_a_newer_version_instead_of_the_deployed_one_goes_on_answering(
    sessions: Sessions, store: Path
) -> None:
    await prepare_registry(sessions, store)
    shutil.rmtree(store / "tiny-moths" / "1.0.0")
    for words in ("this start deployed 1.1.0 instead, which nobody could compare", "put it back"):
        (fault,) = await prepare_registry(sessions, store)
        assert fault.path == "tiny-moths/1.0.0"
        assert words in fault.message
        assert await deployed(sessions) == {"other-moths": ("1.0.0", 1), "tiny-moths": ("1.1.0", 2)}
    async with sessions() as session:
        newest = (await history_of(session, "tiny-moths"))[0]
    assert (newest.from_version, newest.to_version, newest.actor) == ("1.0.0", "1.1.0", "start")
    assert newest.reason == "Version 1.0.0 is not in the store any more."


async def test_half_written_bundles_are_no_bundles(sessions: Sessions, store: Path) -> None:
    (store / "tiny-moths" / ".1.2.0.part").mkdir()
    (store / "README.md").write_text("not a model")
    assert await prepare_registry(sessions, store) == []


async def test_without_a_store_the_fault_says_so(sessions: Sessions, tmp_path: Path) -> None:
    (fault,) = await prepare_registry(sessions, tmp_path / "nowhere")
    assert "there is no such folder" in fault.message
    assert await deployed(sessions) == {}


async def test_papers_of_a_bundle_that_was_changed_are_not_given(sessions: Sessions, store: Path) -> None:
    await prepare_registry(sessions, store)
    card = store / "tiny-moths" / "1.1.0" / "card.json"
    card.write_text(card.read_text().replace("Tiny", "Huge"))
    async with sessions() as session:
        row = await registry.get_version(session, "tiny-moths", "1.1.0")
        with pytest.raises(InternalError, match="damaged or gone"):
            await papers_of(store, row)


async def test_what_is_not_there_is_not_found(sessions: Sessions, store: Path) -> None:
    await prepare_registry(sessions, store)
    async with sessions() as session:
        with pytest.raises(NotFound, match="no model named 'x'"):
            await registry.get_model(session, "x")
        with pytest.raises(NotFound, match=r"no version '9\.9\.9'"):
            await registry.get_version(session, "tiny-moths", "9.9.9")
