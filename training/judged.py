"""Runs or a bundle on one split -> their logits, how they are read, and the Evaluation. Legend: N photos, C classes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import bundle
from models.metrics import Evaluation
from training.data.prepared import Dataset
from training.ensemble import ensemble_logits, run_logits
from training.evaluate import class_indices
from training.inference import bundle_logits, evaluation_cache, places_of
from training.prior import kind_of_prior
from training.target_prior import answer_for, prior_of_card
from training.trust import NOTHING_FITTED, Fitted, Judged, evaluate_judged, fit

SEEN = ("train", "val")
"""Splits that a network or its calibration saw: nothing is said there of how far answers can be trusted."""
CALIBRATED_ON = "the validation split, not trained on"


def evaluate_models(
    models: list[Path], dataset: Dataset, split: str, log_target_C: NDArray[np.float64] | None = None
) -> Evaluation:
    """Evaluate a bundle as its card reads it, or runs calibrated on val where ``split`` is another.

    With the log of a target prior [C] in place of their own, logits are read as before, and only answers are judged.
    Raises ValueError.
    """
    samples = dataset.split(split)
    if not samples:
        raise ValueError(f"{dataset.folder}: no photo is in split {split!r}")
    with_trust = split not in SEEN and log_target_C is None
    logits_NC, prior_C, fitted = answers_of(models, dataset, split, calibrate=with_trust)
    if log_target_C is not None:
        logits_NC = answer_for(logits_NC, prior_C, log_target_C)
    judged = Judged(samples, logits_NC, fitted)
    return evaluate_judged([judged], dataset, split=split, with_trust=with_trust)


def answers_of(
    models: list[Path], dataset: Dataset, split: str, *, calibrate: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, Fitted]:
    """Logits, log of the prior in them where it is known, and how they are read."""
    places = places_of(dataset, dataset.split(split))
    if len(models) == 1 and (models[0] / bundle.CARD).exists():
        return _bundle_answers(models[0], dataset, places)
    calibration = dataset.split("val") if calibrate else ()
    everything = [*places, *places_of(dataset, calibration)]
    logits_NC, prior_C = (
        ensemble_logits(models, dataset, everything)
        if len(models) > 1
        else run_logits(models[0], dataset, everything)
    )
    counts = dataset.info.training_counts
    fitted = NOTHING_FITTED
    if calibration:
        fitted = fit(
            logits_NC[len(places) :],
            class_indices(dataset, calibration),
            counts,
            logit_prior=kind_of_prior(prior_C, counts),
            fitted_on=CALIBRATED_ON,
        )
    return logits_NC[: len(places)], prior_C, fitted


def _bundle_answers(
    model: Path, dataset: Dataset, places: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, Fitted]:
    read = bundle.read(model)
    if tuple(taxon.label for taxon in read.card.taxa) != dataset.labels:
        raise ValueError(f"{model}: its species list is not that of {dataset.folder}")
    logits_NC = bundle_logits(read, evaluation_cache(dataset, read.card.preprocessing), places)
    return logits_NC, prior_of_card(read.card), Fitted.of_card(read.card)
