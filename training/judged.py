"""Runs or a bundle on one split -> their logits, how they are read, and the Evaluation. Legend: N photos, C classes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models import bundle
from models.metrics import Evaluation
from models.views import Views
from training.asked import ask_bundle, ask_run, check_views
from training.crossval_result import CrossValidation, cross_validation_of
from training.data.index import Sample
from training.data.prepared import Dataset
from training.ensemble import ensemble_logits
from training.evaluate import class_indices
from training.inference import places_of
from training.judgement import judged_by_folds
from training.prior import kind_of_prior
from training.several import Embedded
from training.target_prior import answer_for
from training.trust import CALIBRATED_ON, NOTHING_FITTED, Fitted, Judged, evaluate_judged, fit
from training.unknown_photos import (
    drawn_outsiders,
    fit_unknown,
    judged_part,
    shipped_rule,
)
from training.unknown_report import Part, unknown_report

SEEN = ("train", "val")
"""Splits that a network or its calibration saw: nothing is said there of how far answers can be trusted."""


def evaluate_models(
    models: list[Path],
    dataset: Dataset,
    split: str,
    log_target_C: NDArray[np.float64] | None = None,
    views: Views | None = None,
) -> Evaluation:
    """Evaluate a bundle as its card reads it, or runs calibrated on val where ``split`` is another.

    With the log of a target prior [C] in place of their own, logits are read as before, and only answers are judged.
    ``views`` None: a bundle's own, of runs the photos as they are. Raises ValueError.
    """
    samples = dataset.split(split)
    if not samples:
        raise ValueError(f"{dataset.folder}: no photo is in split {split!r}")
    with_trust = split not in SEEN and log_target_C is None
    if with_trust and len(models) == 1 and (folds := _folds_of(models[0])):
        return _evaluate_mean(models[0], dataset, folds, views or "one")
    answered = answers_of(models, dataset, split, views, calibrate=with_trust)
    logits_NC = answered.logits_NC
    if log_target_C is not None:
        logits_NC = answer_for(logits_NC, answered.log_prior_C, log_target_C)
    judged = Judged(samples, logits_NC, answered.fitted, dataset.info.training_counts, answered.embedded)
    evaluation = evaluate_judged([judged], dataset, split=split, with_trust=with_trust)
    if answered.unknown is None or not with_trust:
        return evaluation
    report = unknown_report([answered.unknown], dataset.groups)
    return evaluation.model_copy(update={"unknown": report})


def _folds_of(model: Path) -> CrossValidation | None:
    return None if (model / bundle.CARD).exists() else cross_validation_of(model)


def _evaluate_mean(run: Path, dataset: Dataset, folds: CrossValidation, views: Views) -> Evaluation:
    """As its bundle would be judged: it has learnt from the validation photos, which nothing is fitted on again."""
    dataset = dataset.learning_from_validation()
    asked = ask_run(run, dataset, views)
    return judged_by_folds(asked.ask, asked.photos, dataset, folds, views=views).evaluation


class Answered(NamedTuple):
    """Logits, log of the prior in them where it is known, how they are read, and what else is told where it is."""

    logits_NC: NDArray[np.float64]
    log_prior_C: NDArray[np.float64] | None
    fitted: Fitted
    unknown: Part | None = None
    embedded: Embedded | None = None


def answers_of(
    models: list[Path], dataset: Dataset, split: str, views: Views | None = None, *, calibrate: bool
) -> Answered:
    """What models answer for a split. ``views`` None: as a bundle's card says, one of each photo for runs."""
    samples, calibration = dataset.split(split), dataset.split("val") if calibrate else ()
    for model in models:
        if (split == "val" or len(models) > 1) and _folds_of(model):
            raise ValueError(f"{model}: has learnt from the validation photos; judge it alone and on test")
    places = places_of(dataset, samples)
    if len(models) == 1 and (models[0] / bundle.CARD).exists():
        return _bundle_answers(models[0], dataset, samples, views, judge=calibrate)
    if len(models) == 1:
        return _run_answers(models[0], dataset, samples, calibration, views or "one")
    everything = [*places, *places_of(dataset, calibration)]
    logits_NC, prior_C = ensemble_logits(models, dataset, everything, views or "one")
    fitted = _fitted(logits_NC[len(places) :], dataset, calibration, prior_C)
    return Answered(logits_NC[: len(places)], prior_C, fitted)


def _run_answers(
    run: Path,
    dataset: Dataset,
    samples: tuple[Sample, ...],
    calibration: tuple[Sample, ...],
    views: Views,
) -> Answered:
    asked = ask_run(run, dataset, views)
    answers = asked.ask(asked.photos, places_of(dataset, samples))
    if folds := cross_validation_of(run):
        return Answered(answers.logits_NC, asked.log_prior_C, folds.fitted, None, answers.embedded)
    if not calibration:
        return Answered(answers.logits_NC, asked.log_prior_C, NOTHING_FITTED)
    validated = asked.ask(asked.photos, places_of(dataset, calibration))
    fitted = _fitted(validated.logits_NC, dataset, calibration, asked.log_prior_C)
    size_px, labels_N = asked.wanted.size_px, class_indices(dataset, calibration)
    unknown = fit_unknown(
        asked.ask, asked.photos, dataset, validated, labels_N, size_px=size_px, fitted_on=CALIBRATED_ON
    )
    part = unknown and judged_part(
        asked.ask, unknown, answers, class_indices(dataset, samples), drawn_outsiders(size_px)
    )
    return Answered(answers.logits_NC, asked.log_prior_C, fitted, part, answers.embedded)


def _fitted(
    logits_NC: NDArray[np.float64],
    dataset: Dataset,
    calibration: tuple[Sample, ...],
    prior_C: NDArray[np.float64] | None,
) -> Fitted:
    if not calibration:
        return NOTHING_FITTED
    counts = dataset.info.training_counts
    return fit(
        logits_NC,
        class_indices(dataset, calibration),
        counts,
        groups=dataset.groups,
        logit_prior=kind_of_prior(prior_C, counts),
        fitted_on=CALIBRATED_ON,
    )


def _bundle_answers(
    model: Path, dataset: Dataset, samples: tuple[Sample, ...], views: Views | None, *, judge: bool
) -> Answered:
    read = bundle.read(model)
    check_views(read, views)
    asked = ask_bundle(read, dataset)
    answers = asked.ask(asked.photos, places_of(dataset, samples))
    unknown = shipped_rule(read) if judge else None
    part = unknown and judged_part(
        asked.ask,
        unknown,
        answers,
        class_indices(dataset, samples),
        drawn_outsiders(asked.wanted.size_px),
    )
    return Answered(answers.logits_NC, asked.log_prior_C, Fitted.of_card(read.card), part)
