"""Several experts on one stem: the last stage and the head in copies, everything before shared.

Experts are stacked along the batch, so that any backbone runs unchanged behind the branching. Legend: B batch,
K experts, C classes, D features.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.backbones import Backbone


class ParallelStage(nn.Module):
    """The same stage K times, each with its own weights. Maps a batch of B to one of K * B, expert by expert."""

    def __init__(self, experts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.experts = nn.ModuleList(experts)

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        """What each expert makes of the inputs."""
        return torch.cat([expert(*inputs, **named) for expert in self.experts])


class ExpertHeads(nn.Module):
    """A head for each expert: logits [K, B, C] in training, their mean over the experts [B, C] in evaluation."""

    def __init__(self, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, embedding_KBxD: Tensor) -> Tensor:
        """Logits of embeddings [K * B, D] that lie expert by expert."""
        parts = torch.unflatten(embedding_KBxD, 0, (len(self.heads), -1))
        logits_KBC = torch.stack([head(part) for head, part in zip(self.heads, parts, strict=True)])
        return logits_KBC if self.training else logits_KBC.mean(dim=0)


def branch(backbone: Backbone, others: Sequence[Backbone]) -> None:
    """Let the last stage of ``others`` run beside the backbone's own."""
    parent, name = backbone.last_stage()
    experts = [cast(nn.Module, getattr(parent, name))]
    for other in others:
        other_parent, other_name = other.last_stage()
        experts.append(cast(nn.Module, getattr(other_parent, other_name)))
    setattr(parent, name, ParallelStage(experts))


class ExpertsLoss(nn.Module):
    """Mean over the experts of their losses, less ``diversity`` times KL(mean of experts || expert).

    Wang et al. (2021): experts are rewarded for differing from their mean, so the divergence is subtracted.
    Experts share one loss, or have one each (Zhang et al., 2022). Accepts [K, B, C] logits; gives the loss of each
    image [B].
    """

    def __init__(self, losses: Sequence[nn.Module], *, diversity: float = 0.0) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)
        self.diversity = diversity

    def forward(self, logits_KBC: Tensor, labels_B: Tensor) -> Tensor:
        """Loss of each image [B]. The mean of the experts is a fixed target: no gradient goes through it."""
        loss_KB = torch.stack(
            [loss(logits_BC, labels_B) for loss, logits_BC in zip(self.losses, logits_KBC, strict=True)]
        )
        if not self.diversity:
            return loss_KB.mean(dim=0)
        return loss_KB.mean(dim=0) - self.diversity * divergence(logits_KBC.to(loss_KB.dtype))


def divergence(logits_KBC: Tensor) -> Tensor:
    """Mean over the experts of KL(softmax of the mean logits || softmax of the expert's), for each image [B]."""
    mean_BC = logits_KBC.mean(dim=0).detach().log_softmax(dim=1)
    log_KBC = logits_KBC.log_softmax(dim=2)
    return (
        functional.kl_div(log_KBC, mean_BC.expand_as(log_KBC), reduction="none", log_target=True)
        .sum(dim=2)
        .mean(dim=0)
    )
