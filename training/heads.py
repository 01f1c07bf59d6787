"""Classifier heads on a backbone's embedding. Legend: B batch, C classes, D features."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.config import Model


class CosineHead(nn.Module):
    """scale * cos(x, w_i): no class can win by the length of its weight vector. The scale is learnt, or a buffer."""

    log_scale: Tensor

    def __init__(
        self, embedding_dim: int, num_classes: int, scale: float = 16.0, *, learn_scale: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim))
        log_scale = torch.tensor(scale).log()
        if learn_scale:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)
        nn.init.normal_(self.weight, std=embedding_dim**-0.5)

    def forward(self, embedding_BD: Tensor) -> Tensor:
        """Logits [B, C], already scaled."""
        cosine_BC = functional.linear(
            functional.normalize(embedding_BD, dim=1), functional.normalize(self.weight, dim=1)
        )
        return self.log_scale.exp() * cosine_BC


def make_head(model: Model, embedding_dim: int, num_classes: int) -> nn.Module:
    """A head of the kind a configuration names: ``linear`` or ``cosine``."""
    if model.head == "cosine":
        return CosineHead(embedding_dim, num_classes, model.cosine_scale, learn_scale=model.learn_scale)
    linear = nn.Linear(embedding_dim, num_classes)
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
    return linear
