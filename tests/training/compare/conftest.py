"""A drawn comparison, and the report of it that its tests read."""

from pathlib import Path

import pytest

from tests.training.compare.reports import Reader, some_results, written
from tests.training.compare.synthetic import synthetic_dataset
from training.data.prepared import Dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return synthetic_dataset()


@pytest.fixture(scope="module")
def out(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    written(dataset, some_results(dataset), folder, ablation="logit_adjusted")
    return folder


@pytest.fixture(scope="module")
def page(out: Path) -> Reader:
    return Reader((out / "index.html").read_text(encoding="utf-8"))
