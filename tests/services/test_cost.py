"""What a version is said to cost is what its answers cost: every view of a photo that its card asks for."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.db.session import Sessions
from app.inference.session import OnnxSession, Outputs
from app.services import registry
from app.services.cost import NUM_RUNS, cost_of
from models.views import Views
from tests.trusted_bundle import write_trusted_bundle


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'cost.db'}"


@pytest.mark.parametrize(("views", "num_images"), [("one", 1), ("mirrored", 2)])
async def test_what_is_timed_is_what_is_served(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: Views, num_images: int
) -> None:
    write_trusted_bundle(tmp_path / "store", "tiny-moths", views=views)
    await registry.prepare_registry(sessions, tmp_path / "store")
    async with sessions() as session:
        row = await registry.get_version(session, "tiny-moths", "1.0.0")
    shown: list[int] = []
    run = OnnxSession.run

    def watched(self: OnnxSession, images: NDArray[np.uint8], **asked: bool) -> Outputs:
        shown.append(len(images))
        return run(self, images, **asked)

    monkeypatch.setattr(OnnxSession, "run", watched)
    cost = await cost_of(tmp_path / "store", row, "cpu")
    assert shown == [1] + [num_images] * NUM_RUNS  # the first warms it up
    assert cost.num_runs == NUM_RUNS
