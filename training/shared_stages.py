"""Teachers that share frozen stages with their student take up what the student's have computed of the same pixels."""

from collections.abc import Iterable
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn

from training.classifier import Classifier


class _Overheard(nn.Module):
    """Says what another module said last, whatever it is given."""

    said: Tensor

    def overhear(self, _module: nn.Module, _given: Any, said: Tensor) -> None:
        """A forward hook of the other module."""
        self.said = said

    def forward(self, _: Tensor) -> Tensor:
        """What was overheard."""
        return self.said


def share_frozen_stages(student: Classifier, teachers: Iterable[Classifier]) -> int:
    """Let teachers take the outputs of frozen parts from the student, wherever weights and statistics are the same.

    The student has to be called first, on the same pixels; what teachers then answer is, in the student's precision,
    the same to the bit. Returns how many parts of teachers compute no more.
    """
    names = {module: name for name, module in student.named_modules()}
    shared = 0
    for teacher, part in ((teacher, part) for teacher in teachers for part in student.frozen_parts()):
        if _same(part, teacher.get_submodule(names[part])):
            overheard = _Overheard()
            part.register_forward_hook(overheard.overhear)
            teacher.set_submodule(names[part], overheard)
            shared += 1
    return shared


def _same(one: nn.Module, other: nn.Module) -> bool:
    tensors = (chain(module.parameters(), module.buffers()) for module in (one, other))
    return all(
        torch.equal(cast(Tensor, first), cast(Tensor, second)) for first, second in zip(*tensors, strict=True)
    )
