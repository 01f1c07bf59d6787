"""Evaluations -> the blocks of ``/performance``: a plot, words, and a table that says the same. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.web import plots
from app.web.calibration_block import calibration_block
from app.web.formatting import NO_SPECIES, NO_TEST_PHOTOS, estimate_words, points_words
from app.web.naming import names_by_label
from app.web.plot_block import Cell, PlotBlock
from app.web.trust_blocks import trust_blocks
from app.web.unknown_blocks import unknown_blocks
from app.web.views import TaxonName
from models.card import ModelCard
from models.groups import GROUPS, Group
from models.metrics import Estimate, Evaluation, GroupMetrics
from models.words import count_words

MOST_PAIRS_IN_TABLE = 30


@dataclass(frozen=True)
class Measured:
    """One version of a model with what was measured of it."""

    card: ModelCard
    evaluation: Evaluation


def plot_blocks(deployed: Measured, candidates: Sequence[Measured]) -> tuple[PlotBlock, ...]:
    """Every block of one deployed model; only the first compares it with its candidates."""
    names = names_by_label(deployed.card.taxa)
    return (
        _groups_block(deployed, candidates),
        _recall_block(deployed.evaluation, names),
        _confusions_block(deployed.evaluation, names),
        calibration_block(deployed.evaluation),
        *trust_blocks(deployed.evaluation),
        *unknown_blocks(deployed.evaluation),
        _counts_block(deployed.evaluation, names),
    )


def group_recall(metrics: GroupMetrics) -> str:
    """Mean recall of a group with its interval, or why there is none."""
    return estimate_words(metrics.recall, NO_SPECIES if metrics.num_species == 0 else NO_TEST_PHOTOS)


def _texts(names: dict[str, TaxonName]) -> dict[str, str]:
    return {label: name.text for label, name in names.items()}


def _groups_block(deployed: Measured, candidates: Sequence[Measured]) -> PlotBlock:
    versions = [(deployed.card.version, deployed.evaluation)] + [
        (candidate.card.version, candidate.evaluation) for candidate in candidates
    ]
    columns = ["Group", "Species", f"{deployed.card.version} (deployed)"]
    for candidate in candidates:
        columns += [f"{candidate.card.version} (candidate)", "Change"]
    rows = [_group_row(group, deployed.evaluation, candidates) for group in GROUPS]
    rows.append(_overall_row(deployed.evaluation, candidates))
    return PlotBlock(
        id="groups",
        heading="Head, middle and tail",
        text="Recall is the share of a species' test photos that are named right, averaged over the "
        "species of a group. The whiskers, and the brackets in the table, are 95% intervals."
        + _which_bar(versions),
        figure=plots.group_bars(versions),
        caption="Mean recall by group, with 95% interval",
        columns=tuple(columns),
        rows=tuple(rows),
        wide=len(candidates) > 0,
    )


def _which_bar(versions: Sequence[tuple[str, Evaluation]]) -> str:
    if len(versions) == 1:
        return ""
    told = [
        f"{words} bars are {version}" for words, (version, _) in zip(plots.PATTERNS, versions, strict=False)
    ]
    return f" {'; '.join(told)}.".replace(" solid", " Solid", 1)


def _group_row(group: Group, deployed: Evaluation, candidates: Sequence[Measured]) -> tuple[Cell, ...]:
    metrics = deployed.group(group)
    num = NO_SPECIES if metrics.num_species == 0 else str(metrics.num_species)
    cells = [Cell(group, group=group), Cell(num), Cell(group_recall(metrics))]
    for candidate in candidates:
        other = candidate.evaluation.group(group)
        cells += [Cell(group_recall(other)), _change(deployed, candidate, metrics.recall, other.recall)]
    return tuple(cells)


def _overall_row(deployed: Evaluation, candidates: Sequence[Measured]) -> tuple[Cell, ...]:
    cells = [
        Cell("all photos (accuracy)"),
        Cell(str(len(deployed.species))),
        Cell(estimate_words(deployed.accuracy)),
    ]
    for candidate in candidates:
        accuracy = candidate.evaluation.accuracy
        cells += [Cell(estimate_words(accuracy)), _change(deployed, candidate, deployed.accuracy, accuracy)]
    return tuple(cells)


def _change(
    deployed: Evaluation, candidate: Measured, before: Estimate | None, after: Estimate | None
) -> Cell:
    """The difference in points; only of figures that were measured on the same photos."""
    if (deployed.split, deployed.data_sha256) != (
        candidate.evaluation.split,
        candidate.evaluation.data_sha256,
    ):
        return Cell("measured on other photos")
    if before is None or after is None:
        return Cell("not comparable")
    difference = after.value - before.value
    words = points_words(difference)
    if words == "0 points":
        return Cell(words)
    return Cell(words, kind="gain" if difference > 0 else "loss")


def _recall_block(evaluation: Evaluation, names: dict[str, TaxonName]) -> PlotBlock:
    worst_first = sorted(
        evaluation.species,
        key=lambda s: (s.recall is None, s.recall.value if s.recall else 0.0, s.training_count),
    )
    return PlotBlock(
        id="recall",
        heading="Recall of each species",
        text="Each sign is a species. Species with the same count and recall are drawn side by side.",
        figure=plots.recall_by_count(evaluation, _texts(names)),
        caption="Species, lowest recall first",
        columns=("Species", "Group", "Training images", "Recall", "Test photos"),
        rows=tuple(
            (
                Cell("", name=names[species.label]),
                Cell(species.group, group=species.group),
                Cell(str(species.training_count)),
                Cell(estimate_words(species.recall)),
                Cell(str(species.num_test_images)),
            )
            for species in worst_first
        ),
        tall=True,
    )


def _confusions_block(evaluation: Evaluation, names: dict[str, TaxonName]) -> PlotBlock:
    pairs = evaluation.confusions[:MOST_PAIRS_IN_TABLE]
    total = sum(pair.num_images for pair in evaluation.confusions)
    wrong = count_words(total, "test photo was", "test photos were")
    shown = (
        f"; the {len(pairs)} most frequent are in the table"
        if len(pairs) < len(evaluation.confusions)
        else ""
    )
    return PlotBlock(
        id="confusions",
        heading="What is taken for what",
        text=f"{wrong} named wrong, in {count_words(len(evaluation.confusions), 'pair')} of species{shown}.",
        figure=plots.confusion_bars(evaluation, _texts(names)) if pairs else None,
        caption="Confused pairs, most frequent first",
        columns=("True species", "Named", "Test photos"),
        rows=tuple(
            (
                Cell("", name=names[pair.true]),
                Cell("", name=names[pair.predicted]),
                Cell(str(pair.num_images)),
            )
            for pair in pairs
        ),
        tall=True,
    )


def _counts_block(evaluation: Evaluation, names: dict[str, TaxonName]) -> PlotBlock:
    ordered = sorted(
        evaluation.species, key=lambda species: (-species.training_count, names[species.label].text)
    )
    most, least = ordered[0].training_count, ordered[-1].training_count
    total = sum(species.training_count for species in ordered)
    return PlotBlock(
        id="counts",
        heading="What it learned from",
        text=f"{count_words(total, 'training image')} of {count_words(len(ordered), 'species', 'species')}: "
        f"from {most} of the most photographed to {least} of the least, {most / least:.0f} to 1.",
        figure=plots.long_tail(evaluation, _texts(names)),
        caption="Training images of each species",
        columns=("Species", "Group", "Training images"),
        rows=tuple(
            (
                Cell("", name=names[species.label]),
                Cell(species.group, group=species.group),
                Cell(str(species.training_count)),
            )
            for species in ordered
        ),
        tall=True,
    )
