"""Two versions beside each other: as JSON and as a page, paired where photos are known."""

import shutil
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from models import bundle
from models.comparison import Comparison, Measured, compare
from tests.conftest import store_folder
from tests.tiny_bundle import write_tiny_bundle

HTML = {"Accept": "text/html"}
COMPARE = "/models/tiny-moths/versions/1.2.0/compare"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is compared comes from bundles: SQLite alone."""
    return f"sqlite+aiosqlite:///{tmp_path / 'compare.db'}"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With a worse candidate, and one without predictions."""
    store = Path(shutil.copytree(store_folder(settings), tmp_path / "store"))
    write_tiny_bundle(store, "tiny-moths", "1.2.0", seed=5)
    write_tiny_bundle(store, "tiny-moths", "1.3.0", seed=4, with_predictions=False)
    return settings.model_copy(update={"store": store})


def measured(settings: Settings, version: str) -> Measured:
    found = bundle.read(store_folder(settings) / "tiny-moths" / version)
    return Measured(found.evaluation, found.predictions)


async def test_a_version_is_compared_with_the_deployed_one_or_with_any_other(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    for address, reference in ((COMPARE, "1.0.0"), (f"{COMPARE}?with=1.1.0", "1.1.0")):
        document = (await client.get(address)).json()
        costs = [document.pop(f"{side}_cost") for side in ("candidate", "reference")]
        assert all(cost["ms_per_photo"] > 0 for cost in costs)
        found = Comparison.model_validate(document)
        assert found == compare(measured(settings, "1.2.0"), measured(settings, reference))
        assert (found.basis, found.num_photos) == ("paired", 56)
    unpaired = (await client.get("/models/tiny-moths/versions/1.3.0/compare")).json()
    assert unpaired["basis"] == "unpaired"


async def test_what_is_not_there_is_not_compared(client: httpx.AsyncClient) -> None:
    for address in (f"{COMPARE}?with=9.9.9", "/models/tiny-moths/versions/9.9.9/compare"):
        assert (await client.get(address)).status_code == 404
    assert (await client.get(f"{COMPARE}?against=1.0.0")).status_code == 422


async def test_the_page_names_every_species_that_lost_the_largest_loss_first(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    answer = await client.get("/compare?model=tiny-moths&version=1.2.0&with=1.0.0", headers=HTML)
    assert answer.status_code == 200
    assert "on the same 56 test photos" in answer.text
    assert "62.5% to 31.2%" in answer.text
    found = compare(measured(settings, "1.2.0"), measured(settings, "1.0.0"))
    fallen = sorted(
        (each.recall.change, each.label) for each in found.species if each.recall and each.recall.change < 0
    )
    assert len(fallen) > 1
    losses = answer.text[answer.text.index("Named worse") :]
    names = {
        taxon.label: taxon.display_name
        for taxon in bundle.read(store_folder(settings) / "tiny-moths" / "1.2.0").card.taxa
    }
    places = [losses.index(names[label]) for _, label in fallen]
    assert places[0] == min(places)


async def test_a_page_that_cannot_pair_photos_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.get("/compare?model=tiny-moths&version=1.3.0", headers=HTML)
    assert "no predictions.csv" in answer.text
    assert "Compared by the two evaluations of one test set" in answer.text
