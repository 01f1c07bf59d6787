"""What a card says of how good a network is: fitted on val and judged on test. Legend: N photos, C classes."""

from dataclasses import dataclass

from models.metrics import Evaluation
from models.predictions import Predictions
from models.prototypes import AddingRule
from models.target_prior import LogitPrior
from models.unknown import Space, UnknownRule
from models.views import Views
from training.adding import fit_adding, try_adding
from training.asked import Ask
from training.data.cache import PhotoCache
from training.data.prepared import Dataset
from training.evaluate import class_indices
from training.inference import places_of
from training.judged import CALIBRATED_ON
from training.trust import Fitted, Judged, evaluate_judged, fit, predictions_of
from training.unknown_photos import drawn_outsiders, fit_unknown, judged_part
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
    samples, calibration = dataset.split("test"), dataset.split("val")
    if not samples:
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
    answers, labels_N = ask(cache, places_of(dataset, samples)), class_indices(dataset, samples)
    judged = [Judged(samples, answers.logits_NC, fitted, counts, answers.embedded)]
    evaluation = evaluate_judged(judged, dataset, split="test")
    named = predictions_of(judged, dataset)
    unknown = fit_unknown(
        ask, cache, dataset, validated, validated_N, size_px=size_px, fitted_on=CALIBRATED_ON
    )
    if unknown is None:
        return Judgement(evaluation, fitted, (), views, named)
    part = judged_part(ask, unknown, answers, labels_N, drawn_outsiders(size_px))
    evaluation = evaluation.model_copy(update={"unknown": unknown_report([part], dataset.groups)})
    tried = try_adding(unknown.trained, validated, validated_N)
    adding = fit_adding([tried], fitted_on=CALIBRATED_ON)
    return Judgement(evaluation, fitted, (), views, named, unknown.rule, unknown.trained.space, adding)
