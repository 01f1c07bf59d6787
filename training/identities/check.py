"""An identity: a sentence about a method, and the small computation that shows whether it holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Check:
    """``holds`` computes anew at each call, from fixed seeds."""

    method: str
    statement: str
    holds: Callable[[], bool]


@dataclass
class Checks:
    """The checks of one module, in the order in which they are written."""

    found: list[Check] = field(default_factory=list)

    def add(self, method: str, statement: str) -> Callable[[Callable[[], bool]], Callable[[], bool]]:
        """Decorator that puts a function among the checks."""

        def keep(holds: Callable[[], bool]) -> Callable[[], bool]:
            self.found.append(Check(method, statement, holds))
            return holds

        return keep


@contextmanager
def in_float64() -> Iterator[None]:
    """What is made here has its priors, margins and weights in float64, so that it can be exact to that."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-9) -> bool:
    """Whether two tensors have one shape and agree within an absolute tolerance; NaN agrees with nothing."""
    return found.shape == expected.shape and bool(((found - expected).abs() <= tolerance).all())


def rises(values: Tensor) -> bool:
    """Whether each value of a vector is greater than the one before."""
    return bool((torch.diff(values) > 0).all())
