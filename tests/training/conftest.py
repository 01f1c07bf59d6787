"""What several tests of training start from."""

from dataclasses import replace

import pytest

from tests.drawn_photos import draw_moth
from training.data.index import read_index
from training.data.prepared import Dataset, make_dataset


@pytest.fixture(scope="module")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three drawn species with 9, 6 and 3 photos, one of each to validate on and one to test on."""
    folder = tmp_path_factory.mktemp("photos")
    for kind in range(3):
        (folder / f"species-{kind}").mkdir()
        for number in range(9 - 3 * kind):
            draw_moth(kind, seed=number, size=(48, 48)).save(folder / f"species-{kind}" / f"{number}.png")
    index = read_index(folder)
    parts = {"0.png": "val", "1.png": "test"}
    samples = [
        replace(sample, split=parts.get(sample.path.rpartition("/")[2], "train")) for sample in index.samples
    ]
    return make_dataset(
        tmp_path_factory.mktemp("data"), index.root, samples, index.taxa, command="prepare", num_problems=0
    )
