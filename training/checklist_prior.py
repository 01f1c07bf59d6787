"""A checklist tried out on labelled photos: what it would change, judged by the code that the service runs.

Legend: N photos, C classes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.checklist import parse_checklist
from models.decision import calibrated
from models.exclusion import contradicts, ruled_out
from models.groups import GROUPS
from models.metrics import Evaluation
from models.target_prior import (
    UNLISTED,
    Matched,
    exchange_prior,
    log_prior_left,
    match_species,
    nearest_names,
    target_shares,
)
from training.data.prepared import Dataset
from training.evaluate import class_indices, evaluate_probabilities
from training.judged import SEEN, answers_of
from training.prior import kind_of_prior

_SHOWN = 10


@dataclass(frozen=True)
class ListJudgement:
    """The evaluation under a list, and lines that say what the list changed."""

    evaluation: Evaluation
    lines: tuple[str, ...]


def evaluate_with_checklist(
    models: list[Path],
    dataset: Dataset,
    split: str,
    file: Path,
    *,
    week: int | None = None,
    unlisted: float = UNLISTED,
) -> ListJudgement:
    """Judge a bundle, or runs calibrated on val, as if every photo were of the list's place and of this ISO week.

    Raises ValueError for a list that cannot be read, that matches nothing, or that expects nothing then.
    """
    matched, lines = _read(file, dataset)
    target_C = target_shares(matched, week, unlisted)
    if target_C is None:
        raise ValueError(f"{file}: expects no species of {dataset.folder} in week {week}")
    samples = dataset.split(split)
    if not samples:
        raise ValueError(f"{dataset.folder}: no photo is in split {split!r}")
    answered = answers_of(models, dataset, split, calibrate=split not in SEEN)
    counts = dataset.info.training_counts
    before_NC = calibrated(answered.logits_NC, answered.fitted.calibration, counts)
    left_C = log_prior_left(kind_of_prior(answered.log_prior_C, counts), counts)
    after_NC = exchange_prior(before_NC, left_C, target_C)
    evaluation = evaluate_probabilities(after_NC, dataset, samples, split=split)
    changes = change_lines(before_NC, after_NC, class_indices(dataset, samples), dataset)
    return ListJudgement(evaluation, (*lines, *changes, *against_lines(before_NC, after_NC, target_C)))


def against_lines(
    before_NC: NDArray[np.float64], after_NC: NDArray[np.float64], target_C: NDArray[np.float64]
) -> tuple[str, ...]:
    """On how many photos the service names no species, since the list rules out what they show."""
    out_C = ruled_out(target_C)
    num = sum(contradicts(*pair, out_C) for pair in zip(before_NC, after_NC, strict=True))
    if num == 0:
        return ()
    return (f"      {num} photos show what the list rules out: the service names no species on them",)


def _read(file: Path, dataset: Dataset) -> tuple[Matched, tuple[str, ...]]:
    try:
        species = parse_checklist(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    matched = match_species(species.species, dataset.info.taxa)
    if not matched.place_M.size:
        raise ValueError(f"{file}: none of its names is a species of {dataset.folder}")
    lines = [f"list  {matched.place_M.size} of {len(species.species)} names are species of the model"]
    for each in nearest_names(matched.unmatched[:_SHOWN], dataset.info.taxa):
        nearest = f"; nearest: {', '.join(each.nearest)}" if each.nearest else ""
        lines.append(f"      row {each.row}: {each.name} is not{nearest}")
    return matched, tuple(lines)


def change_lines(
    before_NC: NDArray[np.float64],
    after_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    dataset: Dataset,
) -> tuple[str, ...]:
    """How many names changed and for what, and accuracy with and without the list, for all photos and by group."""
    named_N, named_now_N = before_NC.argmax(axis=1), after_NC.argmax(axis=1)
    right_N, right_now_N = named_N == labels_N, named_now_N == labels_N
    lines = [
        f"      {int((named_N != named_now_N).sum())} of {len(labels_N)} photos are named otherwise: "
        f"{int((~right_N & right_now_N).sum())} now right, {int((right_N & ~right_now_N).sum())} now wrong"
    ]
    group_N = np.array(dataset.groups)[labels_N]
    for group in ("all", *GROUPS):
        member_N = np.ones(len(labels_N), dtype=bool) if group == "all" else group_N == group
        if member_N.any():
            before, now = right_N[member_N].mean(), right_now_N[member_N].mean()
            lines.append(f"      {group:<7} {before:6.1%} right without the list, {now:6.1%} with it")
    return tuple(lines)
