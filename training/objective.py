"""What a step minimises: the loss of each image, times the weight of its class once the schedule says so.

A pure function of the epoch, so that a resumed run has nothing to restore. Legend: B batch, C classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.choices import CrossEntropy, EqualWeights
from training.class_weights import make_class_weights
from training.config import RunConfig
from training.experts import ExpertsLoss
from training.losses import LogitAdjusted, ReversedPrior, make_loss
from training.schedule import switch_epoch


class Objective(nn.Module):
    """Loss of each image [B], in at least float32. Set ``epoch`` (0-based) before each pass.

    Before ``first_epoch`` every weight is one; from it on they are ``weights_C`` (DRW: Cao et al., 2019).
    """

    weights_C: Tensor

    def __init__(self, loss: nn.Module, weights_C: Tensor, *, first_epoch: int = 0) -> None:
        super().__init__()
        self.loss = loss
        self.register_buffer("weights_C", weights_C.to(torch.get_default_dtype()))
        self.first_epoch = first_epoch
        self.epoch = 0

    def weights(self) -> Tensor:
        """The class weights [C] of this epoch."""
        return self.weights_C if self.epoch >= self.first_epoch else torch.ones_like(self.weights_C)

    def forward(self, logits_BC: Tensor, labels_B: Tensor) -> Tensor:
        """The weight of each image's label times its loss."""
        loss_B: Tensor = self.loss(logits_BC, labels_B)
        return loss_B * self.weights()[labels_B]


def make_objective(config: RunConfig, training_counts: Sequence[int]) -> Objective:
    """The loss and class weights that a configuration names, on its schedule."""
    loss = _make_loss(config, training_counts)
    after = 0.0 if isinstance(config.weights, EqualWeights) else config.weights.after
    return Objective(
        loss,
        make_class_weights(config.weights, training_counts),
        first_epoch=switch_epoch(after, config.optimisation.epochs),
    )


def _make_loss(config: RunConfig, training_counts: Sequence[int]) -> nn.Module:
    def single() -> nn.Module:
        return make_loss(config.loss, training_counts, scale=config.model.cosine_scale)

    experts = config.experts
    if experts.num == 1:
        return single()
    if experts.priors == "spread":
        smoothing = config.loss.label_smoothing if isinstance(config.loss, CrossEntropy) else 0.0
        losses = [
            single(),
            LogitAdjusted(training_counts, label_smoothing=smoothing),
            ReversedPrior(training_counts, label_smoothing=smoothing),
        ]
    else:
        losses = [single() for _ in range(experts.num)]
    return ExpertsLoss(losses, diversity=experts.diversity)
