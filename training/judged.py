"""Runs or a bundle on one split -> their logits, how they are read, and the Evaluation. Legend: N photos, C classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import bundle
from models.metrics import Evaluation
from models.views import Views
from training.data.index import Sample
from training.data.prepared import Dataset
from training.ensemble import ensemble_logits, run_answers
from training.evaluate import class_indices
from training.inference import bundle_logits, evaluation_cache, places_of
from training.prior import kind_of_prior
from training.several import Embedded
from training.target_prior import answer_for, prior_of_card
from training.trust import NOTHING_FITTED, Fitted, Judged, evaluate_judged, fit

SEEN = ("train", "val")
"""Splits that a network or its calibration saw: nothing is said there of how far answers can be trusted."""
CALIBRATED_ON = "the validation split, not trained on"


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
    judged, prior_C = _answers(models, dataset, split, views, calibrate=with_trust)
    if log_target_C is not None:
        judged = replace(judged, logits_NC=answer_for(judged.logits_NC, prior_C, log_target_C))
    return evaluate_judged([judged], dataset, split=split, with_trust=with_trust)


def _answers(
    models: list[Path], dataset: Dataset, split: str, views: Views | None, *, calibrate: bool
) -> tuple[Judged, NDArray[np.float64] | None]:
    """Logits and how they are read, and log of the prior in them where it is known."""
    samples = dataset.split(split)
    places = places_of(dataset, samples)
    if len(models) == 1 and (models[0] / bundle.CARD).exists():
        return _bundle_answers(models[0], dataset, samples, views)
    calibration = dataset.split("val") if calibrate else ()
    everything = [*places, *places_of(dataset, calibration)]
    logits_NC, prior_C, embedded = _run_answers(models, dataset, everything, views or "one")
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
    if embedded is not None:
        embedded = replace(embedded, embeddings_ND=embedded.embeddings_ND[: len(places)])
    return Judged(samples, logits_NC[: len(places)], fitted, embedded), prior_C


def _run_answers(
    runs: list[Path], dataset: Dataset, places: list[int], views: Views
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, Embedded | None]:
    if len(runs) == 1:
        return run_answers(runs[0], dataset, places, views)
    return (*ensemble_logits(runs, dataset, places, views), None)


def _bundle_answers(
    model: Path, dataset: Dataset, samples: tuple[Sample, ...], views: Views | None
) -> tuple[Judged, NDArray[np.float64] | None]:
    read = bundle.read(model)
    if tuple(taxon.label for taxon in read.card.taxa) != dataset.labels:
        raise ValueError(f"{model}: its species list is not that of {dataset.folder}")
    if views not in (None, read.card.views):
        raise ValueError(
            f"{model}: is calibrated for views {read.card.views!r}, as its card says; to judge {views!r}, "
            "give the run, or export it with --views"
        )
    places = places_of(dataset, samples)
    logits_NC = bundle_logits(read, evaluation_cache(dataset, read.card.preprocessing), places)
    return Judged(samples, logits_NC, Fitted.of_card(read.card)), prior_of_card(read.card)
