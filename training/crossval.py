"""Train on all folds but one, judge on that one, for each fold: every photo is judged once by a network that never
saw it. Folds may be those of all photos, or of the validation photos alone. Legend: N photos, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from models.views import Views
from training.adding import fit_adding
from training.asked import ask_network, wanted_by
from training.average import mean_weights
from training.checkpoint import save_weights
from training.classifier import Classifier, make_classifier
from training.config import RunConfig
from training.crossval_result import FITTED_ON, RESULT, CrossValidation
from training.data.dataset import Photos
from training.data.index import Sample
from training.data.prepared import Dataset
from training.data.split import without_fold
from training.distillation import check_mean
from training.evaluate import class_indices
from training.finish import take_prior, tau_chosen_on
from training.inference import evaluation_cache, places_of
from training.prior import LogitPrior, prior_in_logits
from training.run_folder import begin_run
from training.several import Embedded
from training.trainer import train
from training.trust import Fitted, Judged, evaluate_judged, fit, predictions_of
from training.unknown_folds import FoldUnknown, answer_fold, judge_folds, share_of
from training.unknown_photos import drawn_outsiders


@dataclass(frozen=True)
class _Judged:
    samples: tuple[Sample, ...]
    logits_NC: NDArray[np.float64]
    labels_N: NDArray[np.int64]
    unknown: FoldUnknown | None = None
    embedded: Embedded | None = None


def cross_validate(
    config: RunConfig,
    dataset: Dataset,
    folder: Path,
    command: str,
    views: Views = "one",
    *,
    mean: bool = False,
) -> CrossValidation:
    """Run what is missing of all folds, pool their answers and write the result. Resumes as ``train`` does.

    Photos without a fold are trained on by every network, unless they are test photos. A ``post_hoc.tau`` that
    validation is to choose is chosen on the pooled answers. ``mean``: the folder becomes a finished run too, whose
    network is the mean of theirs.
    Raises ValueError where the data has fewer than two folds, and for a mean of networks that do not begin alike.
    """
    folds = _folds(dataset)
    if mean:
        check_mean(config)
        begin_run(folder, config, dataset.folder, dataset.info.content_sha256, command)
    whole = dataset.learning_from_validation()
    parts = [_trained_without(config, whole, folder / f"fold-{fold}", fold, command) for fold in folds]
    tau = None
    if config.post_hoc.tau is None:
        tau = _tau_of_all(parts, whole, config)
        for part in parts:
            take_prior(cast(nn.Linear, part.network.head), whole.info.training_counts, tau)
    outsiders = drawn_outsiders(wanted_by(config).size_px)
    judged = [
        _judge(part, whole, config, views, share_of(outsiders, number, len(parts)))
        for number, part in enumerate(parts)
    ]
    left = prior_in_logits(config, whole.info.training_counts)
    result = pool(judged, whole, command, logit_prior=left, views=views)
    result = result.model_copy(update={"post_hoc_tau": tau, "mean": mean})
    unfinished = folder / f"{RESULT}.part"
    unfinished.write_text(result.model_dump_json(indent=1) + "\n")
    unfinished.replace(folder / RESULT)
    if mean:  # last: weights without the result would be taken for a run that validation photos can judge
        soup = make_classifier(config, len(dataset.labels))
        soup.load_state_dict(mean_weights([part.network for part in parts]))
        save_weights(folder, soup)
    return result


def _folds(dataset: Dataset) -> list[str]:
    folds = sorted({sample.fold for sample in dataset.samples if sample.fold})
    if len(folds) < 2 or any(not sample.fold for sample in dataset.split("val")):
        raise ValueError(
            f"{dataset.folder}: cross-validation needs two folds or more of what is judged: a fold column in the "
            "source, or prepare it with --val-folds 3"
        )
    return folds


class _Part(NamedTuple):
    """One fold's network, and the data as it saw it: the fold is its test split."""

    without: Dataset
    network: Classifier


def _trained_without(config: RunConfig, whole: Dataset, folder: Path, fold: str, command: str) -> _Part:
    without = whole.with_samples(without_fold(whole.samples, fold))
    if config.post_hoc.tau is None:  # chosen for all of them together, later
        config = config.with_(post_hoc={"tau": 0.0})
    begin_run(folder, config, whole.folder, without.info.content_sha256, command)
    return _Part(without, train(config, without, folder))


def _tau_of_all(parts: Sequence[_Part], whole: Dataset, config: RunConfig) -> float:
    samples: tuple[Sample, ...] = ()
    answered = []
    for part in parts:
        judged, photos = part.without.split("test"), evaluation_cache(part.without, wanted_by(config))
        samples += judged
        answered.append(ask_network(part.network, "one")(photos, places_of(part.without, judged)).logits_NC)
    return tau_chosen_on(samples, np.concatenate(answered), whole)


def _judge(
    part: _Part, whole: Dataset, config: RunConfig, views: Views, outsiders: Mapping[str, Photos]
) -> _Judged:
    ask, wanted = ask_network(part.network, views), wanted_by(config)
    samples, answers, unknown = answer_fold(
        ask, evaluation_cache(part.without, wanted), part.without, wanted, outsiders
    )
    return _Judged(samples, answers.logits_NC, class_indices(whole, samples), unknown, answers.embedded)


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
        f"(accuracy by fold {accuracies}). The weights of this bundle have learnt from all folds."
    )
