"""Identities of learning from teachers. Legend: B batch, C classes; all in float64 where it matters."""

from math import exp, log

import torch
from torch import Tensor, nn

from training.auxiliary import Distillation
from training.average import mean_weights
from training.distillation import Taught, teacher_divergence
from training.ensemble import Ensemble
from training.identities.check import Checks, close
from training.identities.losses import COUNTS, batch

CHECKS = Checks()


class _Fixed(nn.Module):
    """A teacher that says the same of every batch."""

    def __init__(self, logits_BC: Tensor) -> None:
        super().__init__()
        self.logits_BC = logits_BC

    def forward(self, _: Tensor) -> Tensor:
        return self.logits_BC


def teacher() -> Tensor:
    """What a teacher says of the random batch [16, C], in float64."""
    return 2 * batch()[0].flip(1)


def taught(weight: float, *teachers: Tensor) -> Taught:
    """Learning from these answers at temperature 2."""
    answers = Ensemble([_Fixed(answer_BC) for answer_BC in teachers])
    return Taught(answers, Distillation(teachers=len(teachers), weight=weight))


def gradient(weight: float, *teachers: Tensor) -> Tensor:
    """The gradient of student's logits [16, C] whose own loss is half their mean square."""
    logits_BC = batch()[0].requires_grad_()
    loss: Tensor = taught(weight, *teachers)(logits_BC.square().mean() / 2, logits_BC, torch.zeros(0))
    return torch.autograd.grad(loss, logits_BC)[0]


@CHECKS.add("distillation", "it is T^2 times the sum of p log(p / q) of both softmaxes at T, by loops")
def _definition() -> bool:
    student_BC, temperature = batch()[0], 3.0

    def softmax(row: list[float]) -> list[float]:
        powers = [exp(value / temperature) for value in row]
        return [power / sum(powers) for power in powers]

    expected = [
        temperature**2 * sum(p * log(p / q) for p, q in zip(softmax(t), softmax(s), strict=True))
        for t, s in zip(teacher().tolist(), student_BC.tolist(), strict=True)
    ]
    found_B = teacher_divergence(student_BC, teacher(), temperature=temperature)
    return close(found_B, torch.tensor(expected, dtype=torch.float64))


@CHECKS.add(
    "distillation", "a student that says what its teacher says has no divergence and no gradient of it"
)
def _agreed() -> bool:
    logits_BC = batch()[0].requires_grad_()
    apart_B = teacher_divergence(logits_BC, logits_BC, temperature=2.0)
    (gradient_BC,) = torch.autograd.grad(apart_B.sum(), logits_BC)
    return close(apart_B, torch.zeros_like(apart_B)) and close(gradient_BC, torch.zeros_like(gradient_BC))


@CHECKS.add("distillation", "a high temperature is half the mean square of the difference of centred logits")
def _hot() -> bool:
    """Hinton et al. (2015), section 2.1."""
    student_BC = batch()[0]
    apart_BC = student_BC - teacher()
    centred_BC = apart_BC - apart_BC.mean(dim=1, keepdim=True)
    expected_B = centred_BC.square().mean(dim=1) / 2
    return close(teacher_divergence(student_BC, teacher(), temperature=1e5), expected_B, 1e-3)


@CHECKS.add("distillation", "K teachers of one mind are one teacher")
def _alike() -> bool:
    one_BC = gradient(0.5, teacher())
    return all(close(gradient(0.5, *[teacher()] * number), one_BC, 1e-6) for number in (2, 3, 5))


@CHECKS.add("distillation", "several teachers are one that says the mean of their logits")
def _mean() -> bool:
    others = (teacher(), batch()[0].roll(1, 1), teacher().flip(0))
    return close(gradient(0.5, *others), gradient(0.5, torch.stack(others).mean(dim=0)), 1e-6)


@CHECKS.add(
    "distillation",
    "a soup of linear networks answers with their mean, and of one network as it does",
)
def _soup() -> bool:
    inputs_BC = batch()[0]
    linear = [nn.Linear(len(COUNTS), 3, dtype=torch.float64) for _ in range(3)]
    mean = nn.Linear(len(COUNTS), 3, dtype=torch.float64)
    mean.load_state_dict(mean_weights(linear))
    alone = mean_weights(linear[:1])
    return close(mean(inputs_BC), Ensemble(linear)(inputs_BC)) and torch.equal(
        alone["weight"], linear[0].weight
    )


@CHECKS.add("distillation", "weight 0 is the loss alone, bit for bit, and weight 1 the teachers alone")
def _weights() -> bool:
    logits_BC = batch()[0].requires_grad_()
    (alone_BC,) = torch.autograd.grad(logits_BC.square().mean() / 2, logits_BC)
    apart = teacher_divergence(logits_BC, teacher().float(), temperature=2.0).mean()
    (apart_BC,) = torch.autograd.grad(apart, logits_BC)
    return bool(gradient(0.0, teacher()).equal(alone_BC)) and close(gradient(1.0, teacher()), apart_BC, 1e-6)


@CHECKS.add(
    "distillation", "logits of 1000 in half precision give a finite divergence and gradient in float32"
)
def _finite() -> bool:
    for dtype in (torch.float16, torch.bfloat16):
        rows_BC = torch.tensor([[1e3, -1e3, 0.0, 1e3, -1e3]] * len(COUNTS), dtype=dtype, requires_grad=True)
        apart_B = teacher_divergence(rows_BC, rows_BC.detach().flip(1), temperature=1.0)
        (gradient_BC,) = torch.autograd.grad(apart_B.sum(), rows_BC)
        if apart_B.dtype != torch.float32 or not (apart_B.isfinite().all() and gradient_BC.isfinite().all()):
            return False
    return True
