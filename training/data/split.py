"""Samples -> train, val, test, with no session of a species on two sides. Pure: values in, values out."""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from training.data.index import Sample


def split_samples(
    samples: Sequence[Sample], *, val_fraction: float, test_fraction: float, seed: int
) -> tuple[Sample, ...]:
    """Give every sample without a split one, by whole sessions of a species; photos without a session stand alone.

    Each species keeps at least one training photo. Fractions are of a species' photos; a species with too few for a
    part gives none to it. Samples that come with a split keep it.
    """
    by_label: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if not sample.split:
            by_label[sample.label].append(sample)
    assigned: dict[int, str] = {}
    for label in sorted(by_label):
        rng = random.Random(f"{seed}/{label}")
        assigned |= _split_species(by_label[label], val_fraction, test_fraction, rng)
    return tuple(replace(sample, split=assigned.get(sample.row, sample.split)) for sample in samples)


def _split_species(
    samples: list[Sample], val_fraction: float, test_fraction: float, rng: random.Random
) -> dict[int, str]:
    sessions = shuffled_sessions(samples, rng)
    wanted = {"test": test_fraction * len(samples), "val": val_fraction * len(samples)}
    assigned: dict[int, str] = {}
    for part, quota in wanted.items():
        taken = 0
        while len(sessions) > 1 and taken + len(sessions[-1]) / 2 <= quota:
            session = sessions.pop()
            taken += len(session)
            assigned |= {sample.row: part for sample in session}
    return assigned | {sample.row: "train" for session in sessions for sample in session}


def shuffled_sessions(samples: Iterable[Sample], rng: random.Random) -> list[list[Sample]]:
    """Photos of one species by session, in random order; a photo without a session is one of its own."""
    sessions: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: sample.row):
        sessions[sample.session or f"row {sample.row}"].append(sample)
    groups = [sessions[key] for key in sorted(sessions)]
    rng.shuffle(groups)
    return groups


def split_by_folds(
    samples: Sequence[Sample], test_folds: Collection[str], *, val_fraction: float, seed: int
) -> tuple[Sample, ...]:
    """Photos of ``test_folds`` are judged on, all others trained on; of the judged, a part is for calibration (val).

    Raises ValueError for a fold nobody is in.
    """
    present = {sample.fold for sample in samples}
    if unknown := sorted(set(test_folds) - present):
        raise ValueError(f"no photo is in fold {unknown[0]!r}; folds are {', '.join(sorted(present))}")

    def part(sample: Sample) -> str:
        if sample.fold not in test_folds:
            return "train"
        drawn = random.Random(f"{seed}/{sample.sha256}").random()
        return "val" if drawn < val_fraction else "test"

    return mark_leaks(replace(sample, split=part(sample)) for sample in samples)


def fold_validation(samples: Sequence[Sample], num_folds: int, *, seed: int) -> tuple[Sample, ...]:
    """Give every validation photo a fold, "1" and so on, by whole sessions of a species; all others have none.

    Species take turns with the fold that gets one photo more, so that folds are of one size. Raises ValueError for
    fewer than two folds, and where one would be empty.
    """
    if num_folds < 2:
        raise ValueError(f"validation photos cannot be cut into {num_folds} folds: give 2 or more")
    by_label: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.split == "val":
            by_label[sample.label].append(sample)
    fold_of_row: dict[int, str] = {}
    place = 0
    for label in sorted(by_label):
        for session in shuffled_sessions(by_label[label], random.Random(f"{seed}/{label}")):
            fold_of_row |= {sample.row: str(place % num_folds + 1) for sample in session}
            place += 1
    if place < num_folds:
        raise ValueError(
            f"{place} validation photos, or sessions of them, cannot be cut into {num_folds} folds"
        )
    return tuple(replace(sample, fold=fold_of_row.get(sample.row, "")) for sample in samples)


def without_fold(samples: Iterable[Sample], fold: str) -> tuple[Sample, ...]:
    """Cut for one network of a cross-validation: photos of ``fold`` are judged on, all others trained on, but for a
    test split of no fold, which is left out.
    """

    def part(sample: Sample) -> str:
        return "test" if sample.fold == fold else "train"

    kept = (sample for sample in samples if sample.fold or sample.split != "test")
    return mark_leaks(replace(sample, split=part(sample)) for sample in kept)


def mark_leaks(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Mark each val or test photo whose session of the same species also has a training photo."""
    samples = tuple(samples)
    trained = {(s.label, s.session) for s in samples if s.split == "train" and s.session}
    return tuple(replace(s, leaky=s.split != "train" and (s.label, s.session) in trained) for s in samples)
