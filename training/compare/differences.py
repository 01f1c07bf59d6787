"""What a method gains or loses against another on the same test photos. Methods in, differences out."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from training.compare.methods import WITHOUT, Comparison, Method
from training.compare.statistics import Difference, corrected, paired_differences

_FEWEST_REPLICATES = 10_000
_REPLICATES_A_TEST = 100


class Versus(NamedTuple):
    """A method and what it is compared with; p-values are corrected for all differences of its table."""

    method: Method
    reference: Method
    differences: Mapping[str, Difference]


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
    found = corrected(
        [paired_differences(m.right_N, other.right_N, comparison.design, num=num) for m, other in pairs]
    )
    rows = tuple(Versus(*pair, differences) for pair, differences in zip(pairs, found, strict=True))
    return Versuses(rows, num_tests, num)
