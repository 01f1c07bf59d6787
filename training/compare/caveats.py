"""What has to be known to read a table of differences, in sentences. Knows no page and no table."""

from collections.abc import Iterator

from models.words import listed
from training.compare.differences import Versus, Versuses, factor_of
from training.compare.methods import Comparison

OF_TEST_PHOTOS_ALONE = (
    "Intervals and p-values are of the test photos alone: they say nothing of other training photos or of other seeds, "
    "and one seed can differ from the next by more than they are wide."
)


def baseline_caveats(comparison: Comparison, versuses: Versuses) -> tuple[str, ...]:
    """How differences to the baseline were tested, and how many; which of them are of two machines."""
    tested = (
        f"Differences are paired: both methods on the same {comparison.num_test_images:,} test photos and on the seeds "
        "that both have, averaged photo by photo, photos resampled within their species "
        f"{versuses.num_replicates:,} times. p-values are corrected (Holm) for all {versuses.num_tests} comparisons of "
        f"this table; * marks those under 0.05. {OF_TEST_PHOTOS_ALONE} Intervals are for one difference each."
    )
    names = [row.method.name for row in versuses.rows]
    return (tested, *_of_two_machines(versuses, names))


def ablation_caveats(versuses: Versuses) -> tuple[str, ...]:
    """The same of recipes without one of their factors."""
    tested = (
        "Each run is the full recipe without one factor; what it loses is what the factor seems worth. Differences are "
        "paired: the same test photos and the seeds that both have. p-values are corrected (Holm) for all "
        f"{versuses.num_tests} comparisons of this table; * marks those under 0.05. {OF_TEST_PHOTOS_ALONE}"
    )
    recipes = {row.reference.name for row in versuses.rows}
    prefixes = [f"{row.reference.name} " if len(recipes) > 1 else "" for row in versuses.rows]
    names = [
        f"{prefix}without {factor_of(row.method)}"
        for prefix, row in zip(prefixes, versuses.rows, strict=True)
    ]
    return (tested, *_of_two_machines(versuses, names))


def _of_two_machines(versuses: Versuses, names: list[str]) -> Iterator[str]:
    by_machines: dict[tuple[str, str], list[str]] = {}
    for row, name in zip(versuses.rows, names, strict=True):
        if row.on_other_hardware:
            by_machines.setdefault(row.hardware, []).append(name)
    if not by_machines:
        return
    pairs = "; ".join(
        f"{listed(members)} ({ours} against {theirs})" for (ours, theirs), members in by_machines.items()
    )
    automatic = any(_chooses_precision(row) for row in versuses.rows if row.on_other_hardware)
    precision = ", and of the number format that precision=auto chooses on each" if automatic else ""
    yield (
        "Not trained on the hardware of what they are compared with, so that a part of their difference may be that of "
        f"the machines{precision}: {pairs}."
    )


def _chooses_precision(row: Versus) -> bool:
    return any(run.config.precision == "auto" for run in row.method.runs + row.reference.runs)
