"""What holds of every loss: its gradient is the one that differences find, and half precision gives finite numbers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from training.class_weights import effective_number, inverse_frequency
from training.distillation import teacher_divergence
from training.experts import ExpertsLoss
from training.identities.check import Checks, close, in_float64
from training.identities.losses import COUNTS, batch
from training.losses import LDAM, Equalization, Focal, LabelAwareSmoothing, LogitAdjusted, ReversedPrior
from training.objective import Objective

CHECKS = Checks()


class _OneMask(nn.Module):
    """A loss that draws, drawing the same each time: differences of two masks would be no gradient."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits_BC: Tensor, labels_B: Tensor) -> Tensor:
        """Loss of each image [B]."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            loss_B: Tensor = self.loss(logits_BC, labels_B)
        return loss_B


class _Spread(nn.Module):
    """A loss of several experts, who say three things made of the same logits."""

    def __init__(self, loss: ExpertsLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits_BC: Tensor, labels_B: Tensor) -> Tensor:
        """Loss of each image [B]."""
        loss_B: Tensor = self.loss(torch.stack([logits_BC, logits_BC / 2, logits_BC.flip(1)]), labels_B)
        return loss_B


def _experts(counts: Sequence[int], diversity: float = 0.0) -> nn.Module:
    priors = [LogitAdjusted(counts, tau=0.0), LogitAdjusted(counts), ReversedPrior(counts)]
    return _Spread(ExpertsLoss(priors, diversity=diversity))


LOSSES: dict[str, Callable[[Sequence[int]], nn.Module]] = {
    "cross-entropy": lambda counts: LogitAdjusted(counts, tau=0.0),
    "cross-entropy with smoothed labels": lambda counts: LogitAdjusted(counts, tau=0.0, label_smoothing=0.1),
    "logit adjustment": LogitAdjusted,
    "weighted softmax": lambda counts: Objective(
        LogitAdjusted(counts, tau=0.0), inverse_frequency(counts, gamma=1.0)
    ),
    "focal": lambda _: Focal(),
    "focal under gamma 1": lambda _: Focal(gamma=0.5),
    "class-balanced": lambda counts: Objective(
        LogitAdjusted(counts, tau=0.0), effective_number(counts, beta=0.9999)
    ),
    "class-balanced focal": lambda counts: Objective(Focal(), effective_number(counts, beta=0.9999)),
    "LDAM": LDAM,
    "LDAM-DRW": lambda counts: Objective(LDAM(counts), effective_number(counts, beta=0.9999)),
    "equalization": lambda counts: _OneMask(Equalization(counts)),
    "label-aware smoothing": LabelAwareSmoothing,
    "SADE": _experts,
}
"""Of several experts without diversity: their mean is a fixed target, so differences would find another gradient."""


@CHECKS.add("every loss", "the gradient is the one that differences find")
def _gradients() -> bool:
    logits_BC, labels_B = batch()

    def right(make: Callable[[Sequence[int]], nn.Module]) -> bool:
        with in_float64():
            loss = make(COUNTS)
        return torch.autograd.gradcheck(
            lambda z_BC: loss(z_BC, labels_B), (logits_BC.clone().requires_grad_(),), raise_exception=False
        )

    return all(right(make) for make in LOSSES.values())


@CHECKS.add("every loss", "logits of 1000 in half precision give a finite loss and gradient in float32")
def _finite() -> bool:
    losses = [*(make(COUNTS) for make in LOSSES.values()), _experts(COUNTS, diversity=0.2)]
    return all(is_finite(loss, dtype) for loss in losses for dtype in (torch.float16, torch.bfloat16))


def is_finite(loss: nn.Module, dtype: torch.dtype) -> bool:
    """Whether the loss and its gradient at logits of plus and minus 1000 are finite, for every label."""
    rows_BC = torch.tensor([[1e3, -1e3, 0.0, 1e3, -1e3]] * len(COUNTS), dtype=dtype, requires_grad=True)
    loss_B: Tensor = loss(rows_BC, torch.arange(len(COUNTS)))
    (gradient_BC,) = torch.autograd.grad(loss_B.sum(), rows_BC)
    return loss_B.dtype == torch.float32 and bool(loss_B.isfinite().all() and gradient_BC.isfinite().all())


@CHECKS.add(
    "RIDE",
    "an expert's gradient is that of its loss and of its own distance from a mean that stays where it is",
)
def _diversity() -> bool:
    labels_B = batch()[1]
    logits_KBC = torch.stack([batch()[0], 2 * batch()[0], batch()[0].flip(1)]).requires_grad_()
    losses = [LogitAdjusted(COUNTS, tau=0.0) for _ in range(3)]
    (found_KBC,) = torch.autograd.grad(
        ExpertsLoss(losses, diversity=0.2)(logits_KBC, labels_B).sum(), logits_KBC
    )
    (plain_KBC,) = torch.autograd.grad(ExpertsLoss(losses)(logits_KBC, labels_B).sum(), logits_KBC)
    q_KBC = logits_KBC.detach().softmax(dim=2)
    p_BC = logits_KBC.detach().mean(dim=0).softmax(dim=1)
    return close(found_KBC, plain_KBC - 0.2 * (q_KBC - p_BC) / 3)


@CHECKS.add("distillation", "the gradient is the one that differences find, and the teacher has none")
def _taught() -> bool:
    student_BC, teacher_BC = batch()[0].requires_grad_(), 2 * batch()[0].flip(1)
    apart_B = teacher_divergence(student_BC, teacher_BC.requires_grad_(), temperature=2.0)
    (unlearnt,) = torch.autograd.grad(apart_B.sum(), teacher_BC, allow_unused=True, retain_graph=True)
    return unlearnt is None and torch.autograd.gradcheck(
        lambda z_BC: teacher_divergence(z_BC, teacher_BC.detach(), temperature=2.0),
        (student_BC.detach().clone().requires_grad_(),),
        raise_exception=False,
    )
