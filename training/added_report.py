"""Species that no network learnt, each added from a few of its photos: how many of the others are found, and what the
old species lose. Pure numpy. Legend: N photos of old species, M photos of new ones, C old and K new classes.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.evaluation import Estimate, Interval
from models.metrics import NUM_BOOTSTRAP, wilson
from models.prototypes import AddingRule, Row, prototype_row
from models.unknown import Space
from training.adding import NUM_PHOTOS
from training.inference import Answers

NUM_DRAWS = 20
DEFINITION = (
    "Species that the network did not learn are added all at once, each from photos drawn by lot, and judged by the "
    "rest of theirs. Recall: mean over the species, over the draws; interval: bootstrap over species. Change: share of "
    "the old species' photos named right, after less before; interval: the wider of a bootstrap over photos and "
    "Wilson's for the mean number of photos lost."
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AddedFrom(_Frozen):
    """What adding from so many photos does. ``num_species`` have more photos than that, and so some to judge with."""

    num_photos: int
    num_species: int
    num_new_photos: int
    recall: Estimate
    accuracy_before: float
    accuracy_after: float
    change: Estimate


class AddedReport(_Frozen):
    """The whole judgement: which species, how they were drawn, and a line for each number of photos."""

    species: tuple[str, ...]
    seed: int
    num_draws: int
    num_old_species: int
    num_old_photos: int
    rule: AddingRule
    lines: tuple[AddedFrom, ...]
    definition: str = DEFINITION


class Old(NamedTuple):
    """What the network says of photos of species that it learnt, and their classes [N]."""

    answers: Answers
    labels_N: NDArray[np.int64]


class New(NamedTuple):
    """Embeddings [M, D] of photos of species that it did not learn, whose species [M] are places in ``species``."""

    answers: Answers
    labels_M: NDArray[np.int64]
    species: tuple[str, ...]


def added_report(space: Space, rule: AddingRule, old: Old, new: New, *, seed: int = 0) -> AddedReport:
    """Judge. Raises ValueError where no new species has two photos, or there is no old photo."""
    lines = tuple(_lines(space, rule, old, new, seed))
    if not lines:
        raise ValueError("no species to add has two photos: one to add it from, and one to judge with")
    return AddedReport(
        species=new.species,
        seed=seed,
        num_draws=NUM_DRAWS,
        num_old_species=old.answers.logits_NC.shape[1],
        num_old_photos=len(old.labels_N),
        rule=rule,
        lines=lines,
    )


def _lines(space: Space, rule: AddingRule, old: Old, new: New, seed: int) -> Iterator[AddedFrom]:
    if not len(old.labels_N):
        raise ValueError("there is no photo of an old species to judge with")
    for num in NUM_PHOTOS:
        counts_K = np.bincount(new.labels_M, minlength=len(new.species))
        judged = np.flatnonzero(counts_K > num)
        if len(judged):
            yield _line(space, rule, old, new, judged, num, seed)


def _line(
    space: Space, rule: AddingRule, old: Old, new: New, judged: NDArray[np.int64], num: int, seed: int
) -> AddedFrom:
    rng, num_old = np.random.default_rng([seed, num]), old.answers.logits_NC.shape[1]
    right_N = old.answers.logits_NC.argmax(axis=1) == old.labels_N
    recall_RK, lost_N, num_new = np.zeros((NUM_DRAWS, len(judged))), np.zeros(len(old.labels_N)), 0
    for draw in range(NUM_DRAWS):
        drawn = [rng.permutation(np.flatnonzero(new.labels_M == species)) for species in judged]
        rows = [prototype_row(space, rule, new.answers.embeddings_ND[own[:num]]) for own in drawn]
        for place, own in enumerate(drawn):
            recall_RK[draw, place] = (_named(new.answers, own[num:], rows) == num_old + place).mean()
        num_new = sum(len(own) - num for own in drawn)
        lost_N += right_N & (_named(old.answers, np.arange(len(right_N)), rows) != old.labels_N)
    lost_N /= NUM_DRAWS
    return AddedFrom(
        num_photos=num,
        num_species=len(judged),
        num_new_photos=num_new,
        recall=_bootstrap(recall_RK.mean(axis=0), seed),
        accuracy_before=float(right_N.mean()),
        accuracy_after=float(right_N.mean() - lost_N.mean()),
        change=_change(lost_N, seed),
    )


def _named(answers: Answers, places: NDArray[np.int64], rows: Sequence[Row]) -> NDArray[np.int64]:
    """Class of each of these photos, those of the rows after the old ones."""
    added = [row.logits(answers.embeddings_ND[places]) for row in rows]
    found: NDArray[np.int64] = np.column_stack([answers.logits_NC[places], *added]).argmax(axis=1)
    return found


def _change(lost_N: NDArray[np.float64], seed: int) -> Estimate:
    drawn = _bootstrap(-lost_N, seed)
    low, high = wilson(round(float(lost_N.sum())), len(lost_N))
    interval = (min(drawn.interval[0], -high), max(drawn.interval[1], -low))
    return Estimate(value=drawn.value, interval=interval)


def _bootstrap(values: NDArray[np.float64], seed: int) -> Estimate:
    """Mean with its percentile interval, widened to hold it."""
    rng, value = np.random.default_rng(seed), float(values.mean())
    means = [float(rng.choice(values, len(values)).mean()) for _ in range(NUM_BOOTSTRAP)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(value=value, interval=(min(float(low), value), max(float(high), value)))


def added_lines(report: AddedReport) -> Iterator[str]:
    """The report as lines of text."""
    yield (
        f"{len(report.species)} species added (seed {report.seed}, {report.num_draws} draws) to "
        f"{report.num_old_species}, judged with {report.num_old_photos} photos of these:"
    )
    yield f"{'photos':>6}  {'species':>7}  {'recall of the new':<24}{'old species, points':<24}old named right"
    for line in report.lines:
        recall = f"{line.recall.value:.1%} ({_percent(line.recall.interval)})"
        change = f"{100 * line.change.value:+.2f} ({_points(line.change.interval)})"
        yield (
            f"{line.num_photos:>6}  {line.num_species:>7}  {recall:<24}{change:<24}"
            f"{line.accuracy_before:.1%} -> {line.accuracy_after:.1%}"
        )
    yield f"species: {', '.join(report.species)}"


def _percent(interval: Interval) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def _points(interval: Interval) -> str:
    return f"{100 * interval[0]:+.2f} to {100 * interval[1]:+.2f}"


def in_order(labels: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The species, sorted, and the place of each label in them."""
    species = tuple(sorted(set(labels)))
    place = {label: index for index, label in enumerate(species)}
    return species, np.array([place[label] for label in labels], dtype=np.int64)
