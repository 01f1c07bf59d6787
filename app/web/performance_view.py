"""Evaluations of a model's versions -> ``/performance``: what surrounds the plots. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from app.web.formatting import estimate_words
from app.web.performance_blocks import Measured, group_recall, plot_blocks
from app.web.plot_block import PlotBlock
from models.groups import GROUPS, Group
from models.metrics import Evaluation
from models.words import count_words


@dataclass(frozen=True)
class ModelSummary:
    """One deployed model in the overview."""

    name: str
    title: str
    version: str
    epoch: int
    num_species: int
    accuracy: str
    groups: tuple[tuple[Group, str], ...]
    url: str
    selected: bool


@dataclass(frozen=True)
class PerformanceView:
    """``/performance``: what a deployed model can and cannot do, beside its candidates."""

    template: ClassVar[str] = "performance.html"
    title: ClassVar[str] = "Performance"

    models: tuple[ModelSummary, ...]
    name: str
    model_title: str
    version: str
    description: str
    tested_on: str
    group_rule: str
    notes: tuple[str, ...]
    limits: tuple[str, ...]
    candidates: tuple[str, ...]
    blocks: tuple[PlotBlock, ...]


def model_summary(measured: Measured, epoch: int, *, selected: bool) -> ModelSummary:
    """Overview of one deployed model."""
    card, evaluation = measured.card, measured.evaluation
    return ModelSummary(
        name=card.name,
        title=card.title,
        version=card.version,
        epoch=epoch,
        num_species=card.num_classes,
        accuracy=estimate_words(evaluation.accuracy),
        groups=tuple((group, group_recall(evaluation.group(group))) for group in GROUPS),
        url=f"/performance?model={card.name}",
        selected=selected,
    )


def performance_view(
    deployed: Measured, candidates: Sequence[Measured], models: tuple[ModelSummary, ...]
) -> PerformanceView:
    """The page of one deployed model; ``candidates`` are its other versions in the store."""
    card, evaluation = deployed.card, deployed.evaluation
    return PerformanceView(
        models=models,
        name=card.name,
        model_title=card.title,
        version=card.version,
        description=card.description,
        tested_on=_tested_on(evaluation),
        group_rule=card.group_rule.sentence(),
        notes=evaluation.notes,
        limits=card.limits,
        candidates=tuple(candidate.card.version for candidate in candidates),
        blocks=plot_blocks(deployed, candidates),
    )


def _tested_on(evaluation: Evaluation) -> str:
    photos = count_words(evaluation.num_test_images, "photo")
    species = count_words(evaluation.num_species_tested, "species", "species")
    return f"{photos} of {species} (split {evaluation.split!r})"
