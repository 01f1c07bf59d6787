"""What a method gains or loses against another on the same test photos. Methods in, differences out."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from training.compare.methods import WITHOUT, Comparison, Method, share_right
from training.compare.record import RunResult
from training.compare.statistics import Difference, corrected, paired_differences

_FEWEST_REPLICATES = 10_000
_REPLICATES_A_TEST = 100


class Versus(NamedTuple):
    """A method and what it is compared with; p-values are corrected for all differences of its table.

    ``seeds``: those that both have, which alone are compared; where they share none, all of either are.
    """

    method: Method
    reference: Method
    seeds: tuple[int, ...]
    differences: Mapping[str, Difference]

    @property
    def hardware(self) -> tuple[str, str]:
        """What the compared runs were made on, and what the reference's."""
        ours, theirs = (_machines(_runs_of(method, self.seeds)) for method in (self.method, self.reference))
        return ours, theirs

    @property
    def on_other_hardware(self) -> bool:
        """Whether that differs for a seed that both have, or as a whole where they share none."""
        ours, theirs = (
            [run.hardware for run in _runs_of(method, self.seeds)] for method in (self.method, self.reference)
        )
        return ours != theirs if self.seeds else set(ours) != set(theirs)


class Versuses(NamedTuple):
    """A table's comparisons, and how many differences its p-values are corrected for."""

    rows: tuple[Versus, ...]
    num_tests: int
    num_replicates: int


def against_baseline(comparison: Comparison) -> Versuses:
    """Every method against the baseline on its backbone; one whose backbone has no baseline is left out."""
    pairs = [(method, comparison.baseline_of(method)) for method in comparison.methods]
    return _versuses(comparison, [(m, other) for m, other in pairs if other is not None and other is not m])


def ablations(comparison: Comparison, recipe: str | None) -> Versuses:
    """Recipes without one of their factors against the full recipe: of ``recipe``, or of all that have any."""
    pairs = []
    for method in comparison.removals:
        full = method.recipe.partition(WITHOUT)[0]
        reference = comparison.method(full, method.backbone)
        if reference is not None and recipe in (None, full):
            pairs.append((method, reference))
    return _versuses(comparison, pairs)


def factor_of(method: Method) -> str:
    """What a removal is without."""
    return method.recipe.partition(WITHOUT)[2]


def _versuses(comparison: Comparison, pairs: Sequence[tuple[Method, Method]]) -> Versuses:
    """As many replicates as it takes for a difference that none of them contradicts to survive the correction."""
    num_tests = len(pairs) * len(comparison.design.figures)
    num = max(_FEWEST_REPLICATES, _REPLICATES_A_TEST * num_tests)
    seeds = [_shared_seeds(*pair) for pair in pairs]
    found = corrected(
        [
            paired_differences(
                share_right(_runs_of(method, shared)),
                share_right(_runs_of(reference, shared)),
                comparison.design,
                num=num,
            )
            for (method, reference), shared in zip(pairs, seeds, strict=True)
        ]
    )
    rows = tuple(Versus(*pair, shared, each) for pair, shared, each in zip(pairs, seeds, found, strict=True))
    return Versuses(rows, num_tests, num)


def _shared_seeds(one: Method, other: Method) -> tuple[int, ...]:
    return tuple(sorted({run.seed for run in one.runs} & {run.seed for run in other.runs}))


def _runs_of(method: Method, seeds: Sequence[int]) -> list[RunResult]:
    return [run for run in method.runs if run.seed in seeds or not seeds]


def _machines(runs: Sequence[RunResult]) -> str:
    return " and ".join(dict.fromkeys(run.hardware for run in runs))
