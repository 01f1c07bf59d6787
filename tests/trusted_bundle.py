"""The tiny bundle of the tests with everything that is said of trust: fitted to drawn moths, judged on others."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models import bundle
from models.views import Views, over_views, with_views
from tests.tiny_bundle import TAXA, TRAINING_COUNTS, drawn_inputs, write_tiny_bundle
from training.data.index import Sample
from training.data.prepared import Dataset, DatasetInfo
from training.figures import card_figures
from training.trust import Judged, evaluate_judged, fit

CALIBRATION_PHOTOS = 12
TEST_PHOTOS = 30


def write_trusted_bundle(
    store: Path,
    name: str = "trusted-moths",
    version: str = "1.0.0",
    seed: int = 0,
    *,
    views: Views = "one",
    calibration_photos: int = CALIBRATION_PHOTOS,
    with_unknown: bool = False,
) -> Path:
    """Write the bundle to ``store/name/version`` and return that folder. ``calibration_photos`` of each species.

    ``with_unknown``: it says when something is no drawn moth, and how a species is added.
    """
    scratch = write_tiny_bundle(
        store / f".{name}-scratch", name, version, seed, with_predictions=False, with_unknown=with_unknown
    )
    tiny = bundle.read(scratch)
    shutil.rmtree(store / f".{name}-scratch")
    dataset = _dataset(tiny)
    fitted_to, fitted_labels = drawn_inputs([calibration_photos] * len(TAXA), first_seed=3000)
    judged_on, _ = drawn_inputs([TEST_PHOTOS] * len(TAXA), first_seed=5000)
    fitted = fit(
        _logits(tiny.onnx, fitted_to, views),
        fitted_labels,
        TRAINING_COUNTS,
        logit_prior="training",
        fitted_on="drawn moths, not trained on",
    )
    judged = Judged(dataset.samples, _logits(tiny.onnx, judged_on, views), fitted)
    evaluation = evaluate_judged(
        [judged], dataset, split="test", notes=("Measured on moths drawn by the test code.",)
    )
    card = tiny.card.model_copy(
        update={
            "calibration": fitted.calibration,
            "conformal": fitted.tables,
            "views": views,
            "figures": card_figures(evaluation),
            "logit_prior": "training",
        }
    )
    path = store / name / version
    path.parent.mkdir(parents=True, exist_ok=True)
    bundle.write(
        path, onnx=tiny.onnx, card=card, evaluation=evaluation, readme=tiny.readme, unknown=tiny.unknown
    )
    return path


def _logits(onnx: bytes, images: NDArray[np.uint8], views: Views) -> NDArray[np.float64]:
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    logits: NDArray[np.float64] = session.run(["logits"], {"image": with_views(images, views)})[0]
    return over_views(logits.astype(np.float64), views)


def _dataset(tiny: bundle.Bundle) -> Dataset:
    """The drawn test moths as samples: three of a species in each invented session."""
    samples = tuple(
        Sample(f"{taxon.label}/{number}.png", taxon.label, row, "test", session=f"night {number // 3}")
        for row, (taxon, number) in enumerate(
            (taxon, number) for taxon in TAXA for number in range(TEST_PHOTOS)
        )
    )
    info = DatasetInfo(
        root=Path(),
        taxa=TAXA,
        training_counts=TRAINING_COUNTS,
        group_rule=tiny.card.group_rule,
        content_sha256="0" * 64,
        command="drawn",
        num_problems=0,
    )
    return Dataset(Path(), info, samples)
