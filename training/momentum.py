"""A projection beside the head, an encoder that follows slowly, and its queue of keys: what contrast alone needs.

Nothing of this is exported: the classifier inside is the run's own, and it alone is averaged and saved.
Legend: B batch, C classes, D features, P projection, Q queue.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn

from training.classifier import Classifier
from training.contrastive import unit


class Projected(nn.Module):
    """A classifier with a projection of its pooled features, two linear layers and a ReLU between them.

    The authors of PaCo normalise the hidden layer by batch statistics; here nothing does.
    """

    def __init__(self, classifier: Classifier, dim: int) -> None:
        super().__init__()
        width = classifier.backbone.embedding_dim
        self.classifier = classifier
        self.projection = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim))

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, C] and projections [B, P], which have no length in particular."""
        pooled_BD = self.classifier.pooled(pixels_BCHW)
        return self.classifier.head(self.classifier.dropout(pooled_BD)), self.projection(pooled_BD)


class MomentumQueue(nn.Module):
    """A second encoder that follows the learning one, and the last Q of its keys with their classes (He et al., 2020).

    Weights follow as ``momentum * own + (1 - momentum) * learning``. Batch normalisation is what it is in the learning
    encoder: batch statistics where it learns, its own running ones beside them, nothing where it is folded or frozen.
    There is no shuffling of batches between devices. The queue begins empty (the authors' begins with noise under
    random labels) and is part of the state, so a resumed run has the same keys.
    """

    keys_QP: Tensor
    labels_Q: Tensor
    num_pushed: Tensor

    def __init__(self, learning: Projected, dim: int, length: int, momentum: float) -> None:
        super().__init__()
        self.encoder = deepcopy(learning).requires_grad_(False)
        self.encoder.classifier.head = nn.Identity()
        self.momentum = momentum
        self.register_buffer("keys_QP", torch.zeros(length, dim))
        self.register_buffer("labels_Q", torch.zeros(length, dtype=torch.int64))
        self.register_buffer("num_pushed", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def follow(self, learning: Projected) -> None:
        """One step towards the learning encoder's weights."""
        weights = dict(learning.named_parameters())
        for name, parameter in self.encoder.named_parameters():
            parameter.lerp_(weights[name].detach(), 1 - self.momentum)

    @torch.no_grad()
    def keys(self, pixels_BCHW: Tensor) -> Tensor:
        """Keys [B, P] of length one."""
        projections_BP: Tensor = self.encoder.train()(pixels_BCHW)[1]
        return unit(projections_BP)

    def held(self) -> tuple[Tensor, Tensor]:
        """The keys in the queue and their classes, as many as have been pushed so far and at most Q; copies."""
        count = min(int(self.num_pushed), len(self.keys_QP))
        return self.keys_QP[:count].clone(), self.labels_Q[:count].clone()

    @torch.no_grad()
    def push(self, keys_BP: Tensor, labels_B: Tensor) -> None:
        """Put keys in the place of the oldest; of more than Q the last Q."""
        length = len(self.keys_QP)
        keys_BP, labels_B = keys_BP[-length:], labels_B[-length:]
        places_B = (self.num_pushed + torch.arange(len(labels_B), device=labels_B.device)) % length
        self.keys_QP[places_B] = keys_BP.to(self.keys_QP.dtype)
        self.labels_Q[places_B] = labels_B
        self.num_pushed += len(labels_B)
