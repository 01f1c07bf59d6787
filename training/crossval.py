"""Train on all folds but one, judge on that one, for each fold: every photo is judged once by a network that never
saw it. Legend: N photos, C classes.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.conformal import ConformalTable
from models.metrics import Evaluation
from models.predictions import Predictions
from models.prototypes import AddingRule
from models.scaling import CountScaling
from models.unknown import UnknownRule
from models.views import Views
from training.adding import fit_adding
from training.asked import ask_network, wanted_by
from training.config import RunConfig
from training.data.index import Sample
from training.data.prepared import Dataset
from training.data.split import split_by_folds
from training.evaluate import class_indices
from training.inference import evaluation_cache
from training.prior import LogitPrior, prior_in_logits
from training.run_folder import begin_run
from training.several import Embedded
from training.trainer import train
from training.trust import Fitted, Judged, evaluate_judged, fit, predictions_of
from training.unknown_folds import FoldUnknown, answer_fold, judge_folds, share_of
from training.unknown_photos import drawn_outsiders

RESULT = "crossval.json"
FITTED_ON = "photos that cross-validation's networks did not train on"


class CrossValidation(BaseModel):
    """What a cross-validation found. ``temperature``, ``scaling``, ``conformal``, ``unknown`` and ``adding`` are
    fitted on all its photos, for the weights that ship; the evaluation's own answers of a fold use what was fitted on
    the other folds alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    data_sha256: str
    temperature: float
    scaling: CountScaling | None = None
    conformal: tuple[ConformalTable, ...] = ()
    unknown: UnknownRule | None = None
    adding: AddingRule | None = None
    num_images: int
    views: Views = "one"
    evaluation: Evaluation
    predictions: Predictions = ()
    """Of each photo by the network that never saw it; none in results from before this was kept."""


@dataclass(frozen=True)
class _Judged:
    samples: tuple[Sample, ...]
    logits_NC: NDArray[np.float64]
    labels_N: NDArray[np.int64]
    unknown: FoldUnknown | None = None
    embedded: Embedded | None = None


def cross_validate(
    config: RunConfig, dataset: Dataset, folder: Path, command: str, views: Views = "one"
) -> CrossValidation:
    """Run what is missing of all folds, pool their answers and write the result. Resumes as ``train`` does.

    Raises ValueError where the data has fewer than two folds.
    """
    folds = sorted({sample.fold for sample in dataset.samples if sample.fold})
    if len(folds) < 2 or any(not sample.fold for sample in dataset.samples):
        raise ValueError(
            f"{dataset.folder}: cross-validation needs a fold column with two folds or more in every row"
        )
    judged = [
        _judge_fold(config, dataset, folder / f"fold-{fold}", fold, command, views, part=(number, len(folds)))
        for number, fold in enumerate(folds)
    ]
    left = prior_in_logits(config, dataset.info.training_counts)
    result = pool(judged, dataset, command, logit_prior=left, views=views)
    part = folder / f"{RESULT}.part"
    part.write_text(result.model_dump_json(indent=1) + "\n")
    part.replace(folder / RESULT)
    return result


def _judge_fold(
    config: RunConfig,
    dataset: Dataset,
    folder: Path,
    fold: str,
    command: str,
    views: Views,
    *,
    part: tuple[int, int],
) -> _Judged:
    without = dataset.with_samples(
        split_by_folds(dataset.samples, {fold}, val_fraction=0.0, seed=config.seed)
    )
    begin_run(folder, config, dataset.folder, without.info.content_sha256, command)
    ask = ask_network(train(config, without, folder), views)
    wanted = wanted_by(config)
    outsiders = share_of(drawn_outsiders(wanted.size_px), *part)
    samples, answers, unknown = answer_fold(
        ask, evaluation_cache(dataset, wanted), without, wanted, outsiders
    )
    labels_N = class_indices(dataset, samples)
    return _Judged(samples, answers.logits_NC, labels_N, unknown, answers.embedded)


def pool(
    judged: list[_Judged],
    dataset: Dataset,
    command: str,
    *,
    logit_prior: LogitPrior,
    views: Views = "one",
) -> CrossValidation:
    """One evaluation over all folds, each calibrated on the others."""

    def fitted(folds: list[_Judged]) -> Fitted:
        return fit(
            np.concatenate([fold.logits_NC for fold in folds]),
            np.concatenate([fold.labels_N for fold in folds]),
            dataset.info.training_counts,
            groups=dataset.groups,
            logit_prior=logit_prior,
            fitted_on=FITTED_ON,
        )

    parts = [
        Judged(
            fold.samples,
            fold.logits_NC,
            fitted([other for other in judged if other is not fold]),
            dataset.info.training_counts,
            fold.embedded,
        )
        for fold in judged
    ]
    whole = fitted(judged)
    evaluation = evaluate_judged(parts, dataset, split="cross-validation", notes=(_note(judged),))
    unknown = [fold.unknown for fold in judged if fold.unknown is not None]
    rule, adding = None, None
    if len(unknown) == len(judged):
        rule, report = judge_folds(unknown, dataset.groups, fitted_on=FITTED_ON)
        evaluation = evaluation.model_copy(update={"unknown": report})
        adding = fit_adding([fold.adding for fold in unknown], fitted_on=FITTED_ON)
    return CrossValidation(
        command=command,
        data_sha256=dataset.info.content_sha256,
        temperature=whole.calibration.temperature,
        scaling=whole.calibration.scaling,
        conformal=whole.tables,
        unknown=rule,
        adding=adding,
        num_images=whole.calibration.num_images,
        views=views,
        evaluation=evaluation,
        predictions=predictions_of(parts, dataset),
    )


def _note(judged: list[_Judged]) -> str:
    accuracies = ", ".join(f"{(fold.logits_NC.argmax(1) == fold.labels_N).mean():.1%}" for fold in judged)
    return (
        f"{len(judged)}-fold cross-validation: each photo was judged by a network trained without its fold "
        f"(accuracy by fold {accuracies}). The weights of this bundle were trained on all folds."
    )


def read_cross_validation(folder: Path) -> CrossValidation:
    """The result that ``cross_validate`` wrote. Raises ValueError naming the folder."""
    try:
        return CrossValidation.model_validate(json.loads((folder / RESULT).read_text()))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: not a finished cross-validation: {error}") from error
