"""From logits to an Evaluation with calibration, prediction sets and roll-up: fitted here, judged there. Pure numpy.

N photos, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models import trust
from models.card import Calibration, ModelCard
from models.conformal import ConformalTable, SetRule
from models.decision import calibrated, probabilities
from models.definitions import with_definitions
from models.evaluation import CalibrationReport, Evaluation, SetReport, SeveralPhotosReport
from models.groups import Group
from models.predictions import Prediction, Predictions
from training.calibrate import fit_calibration
from training.conformal import fit_tables
from training.data.index import Sample
from training.data.prepared import Dataset
from training.evaluate import class_indices, evaluate_probabilities
from training.prior import LogitPrior
from training.several import Answers, Embedded, several_reports

CALIBRATED_ON = "the validation split, not trained on"


@dataclass(frozen=True)
class Fitted:
    """How logits are read: the calibration, and the tables of the prediction sets."""

    calibration: Calibration
    tables: tuple[ConformalTable, ...] = ()

    @classmethod
    def of_card(cls, card: ModelCard) -> "Fitted":
        """As a bundle's card has it."""
        return cls(card.calibration, card.conformal)


@dataclass(frozen=True)
class Judged:
    """Photos of one network, its logits for them, and what was fitted to it on other photos."""

    samples: tuple[Sample, ...]
    logits_NC: NDArray[np.float64]
    fitted: Fitted
    training_counts: Sequence[int]
    embedded: Embedded | None = None

    @cached_property
    def chances_NC(self) -> NDArray[np.float64]:  # noqa: N802 (a shape)
        """The probabilities, calibrated once for all that is made of them."""
        return calibrated(self.logits_NC, self.fitted.calibration, self.training_counts)


NOTHING_FITTED = Fitted(Calibration(fitted_on="nothing: no validation photos", num_images=0))


def fit(
    logits_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    training_counts: Sequence[int],
    *,
    groups: Sequence[Group],
    logit_prior: LogitPrior,
    fitted_on: str,
) -> Fitted:
    """Fit calibration and tables on the same photos; neither may be judged on them.

    The tables see photos that also set the one or two numbers of the calibration, which bends their promise a
    little where there are few. Without photos nothing is fitted.
    """
    if len(labels_N) == 0:
        return NOTHING_FITTED
    calibration = fit_calibration(logits_NC, labels_N, training_counts, fitted_on=fitted_on)
    chances_NC = calibrated(logits_NC, calibration, training_counts)
    return Fitted(
        calibration,
        fit_tables(
            chances_NC, labels_N, training_counts, groups=groups, logit_prior=logit_prior, fitted_on=fitted_on
        ),
    )


def evaluate_judged(
    parts: Sequence[Judged],
    dataset: Dataset,
    *,
    split: str,
    with_trust: bool = True,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Evaluate one network's answers, or those of all folds, each photo read as its own part was fitted.

    ``with_trust`` is for photos that nothing was fitted on. Raises ValueError for no photos.
    """
    samples = tuple(sample for part in parts for sample in part.samples)
    chances_NC = np.concatenate([part.chances_NC for part in parts])
    evaluation = evaluate_probabilities(chances_NC, dataset, samples, split=split, notes=notes)
    if not with_trust:
        return with_definitions(evaluation)
    labels_N = class_indices(dataset, samples)
    told = evaluation.model_copy(
        update={
            "calibration": _calibration(parts, chances_NC, labels_N, dataset),
            "prediction_sets": _prediction_sets(parts, labels_N, dataset),
            "roll_up": trust.roll_up_reports(chances_NC, labels_N, dataset.info.taxa, dataset.groups),
            "several_photos": _several_photos(parts, dataset),
        }
    )
    return with_definitions(told)


def _calibration(
    parts: Sequence[Judged],
    chances_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    dataset: Dataset,
) -> CalibrationReport | None:
    """Calibration errors by group; None where nothing was fitted."""
    fitted = [part.fitted.calibration for part in parts]
    if any(calibration.num_images == 0 for calibration in fitted):
        return None
    one_NC = np.concatenate(
        [probabilities(part.logits_NC, part.fitted.calibration.temperature) for part in parts]
    )
    raw_NC = np.concatenate([probabilities(part.logits_NC) for part in parts])
    scaled = any(calibration.scaling is not None for calibration in fitted)
    return CalibrationReport(
        method="training count" if scaled else "temperature",
        num_calibration_images=min(calibration.num_images for calibration in fitted),
        groups=trust.calibration_groups(raw_NC, one_NC, chances_NC, labels_N, dataset.groups),
    )


def _prediction_sets(
    parts: Sequence[Judged], labels_N: NDArray[np.int64], dataset: Dataset
) -> tuple[SetReport, ...]:
    """Coverage and size of the sets of each table, all parts together; empty where nothing was fitted."""
    counts = dataset.info.training_counts
    reports: list[SetReport] = []
    for tables in zip(*(part.fitted.tables for part in parts), strict=True):
        rules = [SetRule(table, counts, dataset.groups) for table in tables]
        outcomes = [
            trust.set_outcomes(
                part.chances_NC,
                class_indices(dataset, part.samples),
                rule,
            )
            for part, rule in zip(parts, rules, strict=True)
        ]
        joined = trust.SetOutcomes(
            np.concatenate([each.covered_AN for each in outcomes], axis=1),
            np.concatenate([each.size_AN for each in outcomes], axis=1),
        )
        reports += trust.set_reports(joined, rules, labels_N, dataset.groups)
    return tuple(reports)


def _several_photos(parts: Sequence[Judged], dataset: Dataset) -> tuple[SeveralPhotosReport, ...]:
    counts = dataset.info.training_counts
    answers = [
        Answers(
            part.samples,
            class_indices(dataset, part.samples),
            part.chances_NC,
            part.fitted.calibration,
            part.embedded,
        )
        for part in parts
    ]
    return several_reports(answers, counts, dataset.groups)


def predictions_of(parts: Sequence[Judged], dataset: Dataset) -> Predictions:
    """What was named on each photo, so that the service can compare versions photo by photo."""
    found = []
    for part in parts:
        for sample, chances_C in zip(part.samples, part.chances_NC, strict=True):
            best = int(chances_C.argmax())
            found.append(
                Prediction(sample.sha256, sample.label, dataset.labels[best], float(chances_C[best]))
            )
    return tuple(found)
