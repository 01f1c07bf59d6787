"""The tiny bundle of the tests with everything that is said of trust: fitted to drawn moths, judged on others."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models import bundle
from models.groups import choose_rule
from models.unknown import Space
from models.views import Views, over_views, with_views
from tests.tiny_bundle import SIZE_PX, TAXA, TRAINING_COUNTS, drawn_inputs, write_tiny_bundle
from training.data.index import Sample
from training.data.prepared import Dataset, DatasetInfo
from training.figures import card_figures
from training.inference import Answers
from training.outsiders import DRAWN_KINDS, DrawnKind, DrawnPictures
from training.trust import Judged, evaluate_judged, fit
from training.unknown import ForRule, Scored, fit_rule, score, span
from training.unknown_report import Part, unknown_report

CALIBRATION_PHOTOS = 12
TEST_PHOTOS = 30
PICTURES = 20
"""Drawn pictures of each kind that are no moth: to fit with, and as many others to judge with."""


def write_trusted_bundle(
    store: Path,
    name: str = "trusted-moths",
    version: str = "1.0.0",
    seed: int = 0,
    *,
    views: Views = "one",
    calibration_photos: int = CALIBRATION_PHOTOS,
    with_adding: bool = False,
) -> Path:
    """Write the bundle to ``store/name/version`` and return that folder. ``calibration_photos`` of each species.

    ``with_adding``: it says how a species is added, too.
    """
    scratch = write_tiny_bundle(
        store / f".{name}-scratch", name, version, seed, with_predictions=False, with_unknown=with_adding
    )
    tiny = bundle.read(scratch)
    shutil.rmtree(store / f".{name}-scratch")
    dataset = _dataset(tiny)
    fitted_to, fitted_labels = drawn_inputs([calibration_photos] * len(TAXA), first_seed=3000)
    judged_on, judged_labels = drawn_inputs([TEST_PHOTOS] * len(TAXA), first_seed=5000)
    validated, answered = _answers(tiny.onnx, fitted_to, views), _answers(tiny.onnx, judged_on, views)
    fitted = fit(
        validated.logits_NC,
        fitted_labels,
        TRAINING_COUNTS,
        groups=dataset.groups,
        logit_prior="training",
        fitted_on="drawn moths, not trained on",
    )
    judged = Judged(dataset.samples, answered.logits_NC, fitted, dataset.info.training_counts)
    evaluation = evaluate_judged(
        [judged], dataset, split="test", notes=("Measured on moths drawn by the test code.",)
    )
    part, space = _unknown(tiny.onnx, views, validated, fitted_labels, answered, judged_labels)
    report = unknown_report([part], dataset.groups)
    evaluation = evaluation.model_copy(update={"unknown": report})
    card = tiny.card.model_copy(
        update={
            "calibration": fitted.calibration,
            "conformal": fitted.tables,
            "unknown": part.rule,
            "views": views,
            "figures": card_figures(evaluation),
            "logit_prior": "training",
        }
    )
    path = store / name / version
    path.parent.mkdir(parents=True, exist_ok=True)
    bundle.write(path, onnx=tiny.onnx, card=card, evaluation=evaluation, readme=tiny.readme, unknown=space)
    return path


def _unknown(
    onnx: bytes,
    views: Views,
    validated: Answers,
    fitted_labels: NDArray[np.int64],
    answered: Answers,
    judged_labels: NDArray[np.int64],
) -> tuple[Part, Space]:
    """When it says that something is no drawn moth, and what that does to the test moths and to other pictures."""

    def pictures(kind: DrawnKind, first: int) -> Answers:
        drawn = DrawnPictures((kind,), range(first, first + PICTURES), SIZE_PX)
        return _answers(onnx, np.stack([drawn[place] for place in range(len(drawn))]), views)

    train, labels = drawn_inputs(TRAINING_COUNTS, first_seed=0)
    trained = span(_answers(onnx, train, views).embeddings_ND, labels, len(TAXA))
    seen = ForRule(
        score(trained, validated),
        score(trained, validated, without_N=fitted_labels),
        Scored.joined([score(trained, pictures(kind, 0)) for kind in DRAWN_KINDS]),
    )
    groups = choose_rule(TRAINING_COUNTS).assign(TRAINING_COUNTS)
    rule = fit_rule(seen, groups, fitted_on="drawn moths, not fitted to")
    outsiders: dict[str, Scored] = {kind: score(trained, pictures(kind, PICTURES)) for kind in DRAWN_KINDS}
    return Part(rule, score(trained, answered), judged_labels, outsiders), trained.space


def _answers(onnx: bytes, images: NDArray[np.uint8], views: Views) -> Answers:
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    logits, embeddings = session.run(["logits", "embedding"], {"image": with_views(images, views)})
    return Answers(over_views(logits.astype(np.float64), views), embeddings[: len(images)].astype(np.float64))


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
