"""What a card says of how good a network is: fitted on val and judged on test, or fitted by a cross-validation.

Legend: N photos, C classes.
"""

from dataclasses import dataclass, replace

from models.metrics import Evaluation
from models.predictions import Predictions
from models.prototypes import AddingRule
from models.target_prior import LogitPrior
from models.unknown import Space, UnknownRule
from models.views import Views
from training.adding import fit_adding, try_adding
from training.asked import Ask
from training.crossval_result import CrossValidation
from training.data.cache import PhotoCache
from training.data.prepared import Dataset
from training.evaluate import class_indices
from training.inference import places_of
from training.trust import CALIBRATED_ON, Fitted, Judged, evaluate_judged, fit, predictions_of
from training.unknown_photos import FittedUnknown, drawn_outsiders, fit_to_shipped, fit_unknown, judged_part
from training.unknown_report import unknown_report


@dataclass(frozen=True)
class Judgement:
    """What a card says of how good the network is, and the commands that found it."""

    evaluation: Evaluation
    fitted: Fitted
    commands: tuple[str, ...]
    views: Views
    predictions: Predictions | None = None
    unknown: UnknownRule | None = None
    space: Space | None = None
    adding: AddingRule | None = None


def judged_on_test(
    ask: Ask, cache: PhotoCache, dataset: Dataset, *, logit_prior: LogitPrior, views: Views
) -> Judgement:
    """Everything that is fitted on val, and how it does on test. Raises ValueError where there are no test photos."""
    calibration = dataset.split("val")
    if not dataset.split("test"):
        raise ValueError(f"{dataset.folder}: has no test photos; prepare it with some, or give --crossval")
    counts, size_px = dataset.info.training_counts, cache[0].shape[0]
    validated, validated_N = ask(cache, places_of(dataset, calibration)), class_indices(dataset, calibration)
    fitted = fit(
        validated.logits_NC,
        validated_N,
        counts,
        groups=dataset.groups,
        logit_prior=logit_prior,
        fitted_on=CALIBRATED_ON,
    )
    unknown = fit_unknown(
        ask, cache, dataset, validated, validated_N, size_px=size_px, fitted_on=CALIBRATED_ON
    )
    evaluation, named = _on_test(ask, cache, dataset, fitted, unknown)
    if unknown is None:
        return Judgement(evaluation, fitted, (), views, named)
    tried = try_adding(unknown.trained, validated, validated_N)
    adding = fit_adding([tried], fitted_on=CALIBRATED_ON)
    return Judgement(evaluation, fitted, (), views, named, unknown.rule, unknown.trained.space, adding)


def judged_by_folds(
    ask: Ask, cache: PhotoCache, dataset: Dataset, crossval: CrossValidation, *, views: Views
) -> Judgement:
    """What the networks of a cross-validation found, for the network that ships. It has learnt from all folds itself,
    so it is judged on the test split alone, and where there is none by their answers.

    Raises ValueError for a cross-validation of other data or views.
    """
    if crossval.data_sha256 != dataset.info.content_sha256:
        raise ValueError("the cross-validation was made on other data than the run")
    if crossval.views != views:
        raise ValueError(
            f"the cross-validation judged views {crossval.views!r}, not {views!r}: give `crossval --views {views}` "
            "its folder again, which trains nothing anew, or export with the same views"
        )
    if not crossval.mean and any(not sample.fold for sample in dataset.split("train")):
        raise ValueError(
            "this run has not learnt from the validation photos, and the cross-validation's networks have: export the "
            "mean of those, made with `crossval --mean`"
        )
    found = Judgement(
        crossval.evaluation, crossval.fitted, (crossval.command,), views, crossval.predictions or None
    )
    size_px = cache[0].shape[0]
    shipped = None
    if crossval.unknown is not None:
        shipped = fit_to_shipped(ask, cache, dataset, crossval.unknown, size_px)
        found = replace(found, unknown=shipped.rule, space=shipped.trained.space, adding=crossval.adding)
    if not dataset.split("test"):
        return found
    evaluation, named = _on_test(
        ask, cache, dataset, crossval.fitted, shipped, notes=crossval.evaluation.notes
    )
    return replace(found, evaluation=evaluation, predictions=named)


def _on_test(
    ask: Ask,
    cache: PhotoCache,
    dataset: Dataset,
    fitted: Fitted,
    unknown: FittedUnknown | None,
    *,
    notes: tuple[str, ...] = (),
) -> tuple[Evaluation, Predictions]:
    samples = dataset.split("test")
    answers, labels_N = ask(cache, places_of(dataset, samples)), class_indices(dataset, samples)
    judged = [Judged(samples, answers.logits_NC, fitted, dataset.info.training_counts, answers.embedded)]
    evaluation = evaluate_judged(judged, dataset, split="test", notes=notes)
    if unknown is not None:
        part = judged_part(ask, unknown, answers, labels_N, drawn_outsiders(cache[0].shape[0]))
        evaluation = evaluation.model_copy(update={"unknown": unknown_report([part], dataset.groups)})
    return evaluation, predictions_of(judged, dataset)
