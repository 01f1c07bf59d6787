"""Every identity of every method, in one list, and a line that says how each came out."""

from collections.abc import Iterable, Iterator

from training.hardware import one_thread
from training.identities import (
    after,
    contrastive,
    distillation,
    experts,
    frozen,
    gradients,
    groups,
    imbalance,
    losses,
    mixing,
    prior,
    sampling,
)
from training.identities.check import Check

_MODULES = (
    losses,
    gradients,
    sampling,
    imbalance,
    mixing,
    experts,
    contrastive,
    distillation,
    after,
    frozen,
    prior,
    groups,
)

CHECKS: tuple[Check, ...] = tuple(check for module in _MODULES for check in module.CHECKS.found)


def verdicts(checks: Iterable[Check] = CHECKS) -> Iterator[tuple[Check, bool, str]]:
    """Each check, whether it holds, and its line. A check that raises does not hold, and its line says why."""
    for check in checks:
        problem = ""
        try:
            with one_thread():
                holds = check.holds()
        except Exception as error:  # one broken method must not hide the verdict on the others
            holds, problem = False, f" ({type(error).__name__}: {error})"
        yield check, holds, f"{'pass' if holds else 'FAIL'}  {check.method}: {check.statement}{problem}"
