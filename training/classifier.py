"""Backbone, pooling and head as one network. Legend: B batch, C classes, D features, h w grid."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.backbones import Backbone, make_backbone
from training.config import FrozenStages, RunConfig
from training.experts import ExpertHeads, branch
from training.folding import fold_batch_norm
from training.heads import make_head


class Outputs(NamedTuple):
    """What a bundle's graph answers."""

    logits_BC: Tensor
    embedding_BD: Tensor
    features_BDhw: Tensor


class Classifier(nn.Module):
    """Pixels 0 to 255 -> logits. Normalisation is inside, so that nobody else has to know it."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: Backbone, head: nn.Module, *, dropout: float = 0.0, frozen_stages: FrozenStages = 0
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = head
        self.register_buffer("mean", torch.tensor(backbone.pixels.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.pixels.std).view(1, 3, 1, 1), persistent=False)
        self._frozen = self._freeze(frozen_stages)

    def normalise(self, pixels_BCHW: Tensor) -> Tensor:
        """Pixels 0 to 255 -> what the backbone expects."""
        return (pixels_BCHW - self.mean) / self.std

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Logits [B, C] for float pixels [B, 3, H, W]."""
        return self.outputs(pixels_BCHW).logits_BC

    def outputs(self, pixels_BCHW: Tensor) -> Outputs:
        """Logits, L2-normalised embedding and feature map; of several experts the mean, and in training all logits."""
        features_BDhw = self.backbone(self.normalise(pixels_BCHW))
        pooled_BD = features_BDhw.mean(dim=(2, 3))
        logits_BC = self.head(self.dropout(pooled_BD))
        if isinstance(self.head, ExpertHeads):
            experts = len(self.head.heads)
            features_BDhw = features_BDhw.unflatten(0, (experts, -1)).mean(dim=0)
            pooled_BD = pooled_BD.unflatten(0, (experts, -1)).mean(dim=0)
        return Outputs(logits_BC, functional.normalize(pooled_BD, dim=1), features_BDhw)

    def pooled(self, pixels_BCHW: Tensor) -> Tensor:
        """What the head is given: features [B, D], averaged over the grid."""
        return self.backbone(self.normalise(pixels_BCHW)).mean(dim=(2, 3))  # type: ignore[no-any-return]

    def train(self, mode: bool = True) -> "Classifier":
        """Training mode for what learns; frozen stages keep their statistics too."""
        super().train(mode)
        for stage in self._frozen:
            stage.eval()
        return self

    def frozen_parts(self) -> list[nn.Module]:
        """What is called in a forward pass and never changes, in the order of the stages."""
        return [
            part
            for stage in self._frozen
            for part in (stage if isinstance(stage, nn.ModuleList) else (stage,))
        ]

    def _freeze(self, count: FrozenStages) -> list[nn.Module]:
        """``all`` is more than all stages: what lies behind the last one, such as a last convolution, too."""
        stages = self.backbone.stages()
        if count != "all" and count > len(stages):
            name, num = self.backbone.name, len(stages)
            raise ValueError(f"frozen_stages={count}: {name} has {num} stages; all freezes the whole of it")
        frozen: list[nn.Module] = [self.backbone] if count == "all" else stages[:count]
        for part in [*frozen, *(self.backbone.loose_parameters() if frozen else ())]:
            part.requires_grad_(False)
        return frozen


def make_classifier(config: RunConfig, num_classes: int, *, same_padding: bool = False) -> Classifier:
    """The network that a configuration describes, for a species list of ``num_classes``.

    ``same_padding`` rebuilds one that began from folded weights, which pad as TensorFlow does.
    """
    backbone = make_backbone(
        config.model.backbone, config.model.pretrained, config.size_px, same_padding=same_padding
    )
    num_experts = config.experts.num
    if num_experts > 1:
        names = (config.model.backbone, config.model.pretrained, config.size_px)
        branch(backbone, [make_backbone(*names, same_padding=same_padding) for _ in range(num_experts - 1)])
    if config.model.batch_norm == "fold":
        fold_batch_norm(backbone.network)
    heads = [make_head(config.model, backbone.embedding_dim, num_classes) for _ in range(num_experts)]
    head = ExpertHeads(heads) if num_experts > 1 else heads[0]
    return Classifier(backbone, head, dropout=config.model.dropout, frozen_stages=config.model.frozen_stages)
