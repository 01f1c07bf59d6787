"""One distribution over the species list -> the prediction set of an answer, and what it promises. Pure."""

import numpy as np
from numpy.typing import NDArray

from app.inference.engine import DeployedModel
from app.services.answers import PredictionSet, SetTaxon
from models import decision
from models.conformal import SetRule
from models.evaluation import Evaluation, SetReport

COVERAGE = 0.9
"""Coverage of the prediction set where a request does not say."""


def prediction_set(
    deployed: DeployedModel, probabilities: NDArray[np.float64], coverage: float, *, num_photos: int = 1
) -> PredictionSet:
    """The set by the card's conformal table, else by summed probability, which promises nothing.

    The table was fitted on single photos: of several photos together the same sets are given without a promise.
    """
    rule = deployed.set_rule
    if rule is None:
        return PredictionSet(
            coverage=coverage,
            promise="This version has nothing fitted for sets: its names are together this probable, and how often "
            "the right one is among them is not known.",
            taxa=_taxa(deployed, decision.prediction_set(probabilities, coverage)),
        )
    everything = rule.table.quantile(coverage) is None
    report = None if everything or num_photos > 1 else measured(deployed.evaluation, rule, coverage)
    chosen = [] if everything else decision.prediction_set(probabilities, coverage, rule)
    return PredictionSet(
        coverage=coverage,
        promised=everything or num_photos == 1,
        promise=_promise(rule, coverage, num_photos=num_photos, everything=everything),
        score=rule.table.score,
        num_calibration_images=rule.table.num_images,
        everything=everything,
        macro_coverage=None if report is None else report.groups[0].macro_coverage.value,
        macro_coverage_interval=None if report is None else report.groups[0].macro_coverage.interval,
        taxa=_taxa(deployed, chosen),
    )


def measured(evaluation: Evaluation, rule: SetRule, coverage: float) -> SetReport | None:
    """How sets of this score and coverage did on the test photos; None where that was not measured."""
    for report in evaluation.prediction_sets:
        if report.score == rule.table.score and abs(1 - report.alpha - coverage) < 1e-9:
            return report
    return None


def _promise(rule: SetRule, coverage: float, *, num_photos: int, everything: bool) -> str:
    if num_photos > 1 and not everything:
        return (
            f"Fitted for {coverage:.0%} of single photos; for {num_photos} photos together nothing is promised, "
            "and the right species may be in the set more or less often."
        )
    return rule.table.sentence(coverage)


def _taxa(deployed: DeployedModel, indices: list[int]) -> tuple[SetTaxon, ...]:
    taxa = [deployed.card.taxa[index] for index in indices]
    return tuple(SetTaxon(label=taxon.label, scientific_name=taxon.scientific_name) for taxon in taxa)
