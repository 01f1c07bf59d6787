"""One distribution over the species list -> the prediction set of an answer, and what it promises. Pure."""

import numpy as np
from numpy.typing import NDArray

from app.inference.engine import DeployedModel
from app.services.answer_parts.sets import PredictionSet, SetTaxon
from models import decision
from models.conformal import SetRule
from models.evaluation import Evaluation, SetReport

COVERAGE = 0.9
"""Coverage of the prediction set where a request does not say."""


def prediction_set(
    deployed: DeployedModel,
    probabilities: NDArray[np.float64],
    coverage: float,
    *,
    num_photos: int = 1,
    listed: bool = False,
) -> PredictionSet:
    """The set by the card's conformal table, else by summed probability, which promises nothing.

    The table was fitted on single photos, without a checklist: of several photos together, and of probabilities that a
    list changed (``listed``), the same sets are given without a promise. Nor is there one for photos of species that
    were added later without training; the others keep theirs (see ``SetRule``).
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
    as_fitted = num_photos == 1 and not listed
    report = None if everything or not as_fitted else measured(deployed.evaluation, rule, coverage)
    chosen = [] if everything else decision.prediction_set(probabilities, coverage, rule)
    num_added = rule.num_added if as_fitted and not everything else 0
    return PredictionSet(
        coverage=coverage,
        promised=everything or as_fitted,
        promise=rule.table.sentence(coverage) + added_sentence(num_added)
        if everything or as_fitted
        else _no_promise(coverage, num_photos, listed=listed),
        promised_groups=tuple(rule.table.group_quantiles(coverage)) if as_fitted else (),
        num_without_promise=num_added,
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


def added_sentence(num_added: int) -> str:
    """What a set does not promise, to follow its promise; empty where no species was added without training.

    >>> added_sentence(1)
    ' Nothing is promised for photos of the species that was added without training.'
    """
    if num_added == 0:
        return ""
    species = "species that was" if num_added == 1 else f"{num_added:,} species that were"
    return f" Nothing is promised for photos of the {species} added without training."


def _no_promise(coverage: float, num_photos: int, *, listed: bool) -> str:
    new = [f"for {num_photos} photos together"] if num_photos > 1 else []
    new += ["under a checklist"] if listed else []
    alone = "single photos without a checklist" if listed else "single photos"
    return (
        f"Fitted for {coverage:.0%} of {alone}; {' and '.join(new)} nothing is promised, and the right species "
        "may be in the set more or less often."
    )


def _taxa(deployed: DeployedModel, indices: list[int]) -> tuple[SetTaxon, ...]:
    taxa = [deployed.card.taxa[index] for index in indices]
    return tuple(SetTaxon(label=taxon.label, scientific_name=taxon.scientific_name) for taxon in taxa)
