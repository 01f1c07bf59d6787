"""From the pixels of a batch to the one number that a step minimises: how often the network is asked, and for what.

Legend: B batch, C classes, P projection, H W pixels.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from training.auxiliary import NoContrast, PaCo, SupCon
from training.choices import LogitAdjusted
from training.classifier import Classifier
from training.config import Optimisation, RunConfig
from training.contrastive import parametric_contrast, positives, similarities, supervised_contrast
from training.losses import log_prior
from training.mixing import MixedBatch
from training.momentum import MomentumQueue, Projected
from training.objective import Objective

Autocast = Callable[[], AbstractContextManager[object]]
"""What computes in the run's precision a network that was not set up for it."""


class Step(nn.Module):
    """One view, one pass, and the objective of both labels of each image.

    ``network`` is what is to be set up and called: the classifier, or the classifier with something beside it. It is
    no part of this module's state, which is what a checkpoint has to keep beside the classifier's.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = (network,)

    @property
    def network(self) -> nn.Module:
        """What learns, with everything beside the classifier."""
        return self._network[0]

    def added_parameters(self) -> list[nn.Parameter]:
        """What learns beside the classifier."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def forward(
        self, network: nn.Module, objective: Objective, batch: MixedBatch, second_BCHW: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits of the batch and the loss of a step, a scalar. ``network`` is ``self.network`` as it was set up."""
        logits_BC = network(batch.pixels_BCHW)
        first_B = objective(logits_BC, batch.labels_B)
        if batch.other_labels_B is batch.labels_B:
            return logits_BC, first_B.mean()
        other_B = objective(logits_BC, batch.other_labels_B)
        return logits_BC, (batch.share * first_B + (1 - batch.share) * other_B).mean()


class SupConStep(Step):
    """The objective of both views, and beside it their supervised contrast. Class weights are the objective's alone."""

    def __init__(self, choice: SupCon, network: Projected) -> None:
        super().__init__(network)
        self.choice = choice
        self.projection = network.projection

    def forward(
        self, network: nn.Module, objective: Objective, batch: MixedBatch, second_BCHW: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Both views go through the network as one batch. Logits are those of the first."""
        assert second_BCHW is not None
        labels = batch.labels_B.repeat(2)
        logits, projections = network(torch.cat([batch.pixels_BCHW, second_BCHW]))
        contrast = supervised_contrast(projections, labels, temperature=self.choice.temperature)
        loss = objective(logits, labels).mean() + self.choice.weight * contrast.mean()
        return logits[: len(batch.labels_B)], loss


class PaCoStep(Step):
    """Parametric contrast of the first view with the momentum encoder's keys of the second and of earlier batches.

    It stands in the place of the loss; class weights stay. The head's logits are the centres'.
    """

    shift_C: Tensor

    def __init__(
        self, choice: PaCo, network: Projected, shift_C: Tensor, queue: MomentumQueue, autocast: Autocast
    ) -> None:
        super().__init__(network)
        self.choice, self.autocast = choice, autocast
        self.projection, self.queue = network.projection, queue
        self.register_buffer("shift_C", shift_C)

    def forward(
        self, network: nn.Module, objective: Objective, batch: MixedBatch, second_BCHW: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The encoder of keys follows first; keys of this batch are compared with and then queued."""
        assert second_BCHW is not None
        choice, labels_B = self.choice, batch.labels_B
        logits_BC, queries_BP = network(batch.pixels_BCHW)
        learning = self.network
        assert isinstance(learning, Projected)
        self.queue.follow(learning)
        with self.autocast():
            keys_BP = self.queue.keys(second_BCHW)
        held_QP, held_Q = self.queue.held()
        loss_B = parametric_contrast(
            self.shift_C + logits_BC,
            similarities(queries_BP, torch.cat([keys_BP, held_QP]), choice.temperature),
            labels_B,
            positives(labels_B, torch.cat([labels_B, held_Q])),
            alpha=choice.alpha,
            beta=choice.beta,
            gamma=choice.gamma,
        )
        self.queue.push(keys_BP, labels_B)
        return logits_BC, (objective.weights()[labels_B] * loss_B).mean()


def make_step(
    config: RunConfig,
    classifier: Classifier,
    training_counts: tuple[int, ...],
    *,
    autocast: Autocast = nullcontext,
) -> Step:
    """The step that a configuration asks for. Draws the projection's weights where there is one."""
    choice = config.contrastive
    if isinstance(choice, NoContrast):
        return Step(classifier)
    network = Projected(classifier, choice.dim)
    if isinstance(choice, SupCon):
        return SupConStep(choice, network)
    # The loss is cross-entropy, or adjusted beside PaCo by one who said that both are meant.
    tau = choice.tau + (config.loss.tau if isinstance(config.loss, LogitAdjusted) else 0.0)
    length = choice.queue_length(sum(training_counts))
    queue = MomentumQueue(network, choice.dim, length, choice.momentum)
    return PaCoStep(choice, network, tau * log_prior(training_counts), queue, autocast)


def add_parameters(optimiser: Optimizer, step: Step, settings: Optimisation) -> None:
    """Let the optimiser move what learns beside the classifier, at the head's rate; no decay on vectors."""
    added = step.added_parameters()
    for parameters, decay in (
        ([p for p in added if p.ndim > 1], settings.weight_decay),
        ([p for p in added if p.ndim <= 1], 0.0),
    ):
        if parameters:
            optimiser.add_param_group(
                {"params": parameters, "peak_lr": settings.lr, "lr": settings.lr, "weight_decay": decay}
            )
