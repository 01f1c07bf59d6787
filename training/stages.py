"""Second stages: a new classifier on the embeddings of a backbone that learns no more, which costs seconds.

Functions of cached embeddings: they return a new head and change nothing that they are given. Kang et al. (2020) and
Zhong et al. (2021) retrain on augmented photos; here a photo is seen as it is and, if flips are allowed, mirrored.
Legend: N images, C classes, D features.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training import choices
from training.config import Model
from training.data.dataset import view_seed
from training.data.sampler import draw_by_class
from training.discriminant import LinearHead, blend, discriminant_head
from training.heads import CosineHead, make_head
from training.losses import LabelAwareSmoothing, LogitAdjusted
from training.post_hoc import choose_tau, tau_normalised

_BATCH_SIZE = 128
_STAGE = 2**31 + 3  # keeps a stage's draws apart from an epoch's


class Embedded(NamedTuple):
    """Embeddings and classes of photos, float32 [N, D] and int64 [N]; features as the head is given them."""

    embeddings_ND: Tensor
    labels_N: Tensor


class ScaledLinear(nn.Module):
    """A linear head whose every logit has a scale of its own, from 1."""

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(head.weight.detach().clone())
        self.bias = nn.Parameter(head.bias.detach().clone())
        self.scales_C = nn.Parameter(torch.ones(head.out_features))

    def forward(self, embedding_BD: Tensor) -> Tensor:
        """Logits [B, C]."""
        return self.scales_C * functional.linear(embedding_BD, self.weight, self.bias)

    def merged(self) -> nn.Linear:
        """The linear head with the same logits."""
        scales_C = self.scales_C.detach()
        return _linear(scales_C.unsqueeze(1) * self.weight.detach(), scales_C * self.bias.detach())


def crt(model: Model, train: Embedded, choice: choices.CRT, num_classes: int, *, seed: int) -> nn.Module:
    """A head begun anew and trained on class-balanced draws (classifier re-training, Kang et al., 2020)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(view_seed(seed, 0, _STAGE))
        head = make_head(model, train.embeddings_ND.shape[1], num_classes)
    loss = LogitAdjusted((1,) * num_classes, tau=0.0)
    rates = [{"params": list(head.parameters()), "peak_lr": choice.lr}]
    _fit(head, loss, train, rates, num_classes, epochs=choice.epochs, seed=seed)
    return head


def lws(head: nn.Linear, train: Embedded, choice: choices.LWS, *, seed: int) -> nn.Linear:
    """One learnt scale a class, the weights as they were (learnable weight scaling, Kang et al., 2020)."""
    scaled = ScaledLinear(head)
    loss = LogitAdjusted((1,) * head.out_features, tau=0.0)
    rates = [{"params": [scaled.scales_C], "peak_lr": choice.lr}]
    _fit(scaled, loss, train, rates, head.out_features, epochs=choice.epochs, seed=seed)
    return scaled.merged()


def mislas(
    head: nn.Linear, train: Embedded, training_counts: tuple[int, ...], choice: choices.MiSLAS, *, seed: int
) -> nn.Linear:
    """Label-aware smoothing on class-balanced draws: scales at the full rate, weights go on at a share of it."""
    scaled = ScaledLinear(head)
    loss = LabelAwareSmoothing(training_counts, head=choice.head, tail=choice.tail)
    weights = {"params": [scaled.weight, scaled.bias], "peak_lr": choice.lr * choice.weight_lr_factor}
    rates = [{"params": [scaled.scales_C], "peak_lr": choice.lr}, weights]
    _fit(scaled, loss, train, rates, head.out_features, epochs=choice.epochs, seed=seed)
    return scaled.merged()


def discriminant(head: nn.Linear, train: Embedded, choice: choices.Discriminant) -> nn.Linear:
    """The mean of the head and of Fisher's discriminant of the same embeddings, brought to the same spread."""
    embeddings_ND, labels_N = train.embeddings_ND.double().numpy(), train.labels_N.numpy()
    trained = LinearHead(_weights(head), head.bias.detach().double().numpy())
    other = discriminant_head(embeddings_ND, labels_N, head.out_features)
    weight_CD, bias_C = blend(trained, other, embeddings_ND, choice.share)
    return _linear(torch.from_numpy(weight_CD).float(), torch.from_numpy(bias_C).float())


def best_tau(head: nn.Linear, validation: Embedded) -> float:
    """The tau of best macro recall on validation images. Raises ValueError for none."""
    embeddings_ND = validation.embeddings_ND.double().numpy()
    return choose_tau(_weights(head), embeddings_ND, validation.labels_N.numpy())


def tau_norm(head: nn.Linear, tau: float) -> nn.Linear:
    """Weights divided by their length to the power tau, no bias."""
    weight_CD = torch.from_numpy(tau_normalised(_weights(head), tau)).float()
    return _linear(weight_CD, torch.zeros(head.out_features))


def _weights(head: nn.Linear) -> NDArray[np.float64]:
    return head.weight.detach().cpu().double().numpy()


def prototypes(train: Embedded, num_classes: int) -> Tensor:
    """Mean [C, D] of each class's embeddings after each was brought to length one; zero for a class without images."""
    unit_ND = functional.normalize(train.embeddings_ND, dim=1)
    sums_CD = unit_ND.new_zeros(num_classes, unit_ND.shape[1]).index_add(0, train.labels_N, unit_ND)
    counts_C = torch.bincount(train.labels_N, minlength=num_classes).clamp_min(1)
    return sums_CD / counts_C.unsqueeze(1)


def ncm(head: CosineHead, train: Embedded) -> CosineHead:
    """Nearest class mean: a cosine head, of the scale it had, that points at the prototypes."""
    num_classes, embedding_dim = head.weight.shape
    nearest = CosineHead(embedding_dim, num_classes, learn_scale=isinstance(head.log_scale, nn.Parameter))
    nearest.load_state_dict({"weight": prototypes(train, num_classes), "log_scale": head.log_scale.detach()})
    return nearest


def copy_linear(head: nn.Linear) -> nn.Linear:
    """The same linear head on the CPU, to begin from."""
    return _linear(head.weight.detach().cpu(), head.bias.detach().cpu())


def _linear(weight_CD: Tensor, bias_C: Tensor) -> nn.Linear:
    linear = nn.Linear(weight_CD.shape[1], weight_CD.shape[0])
    linear.load_state_dict({"weight": weight_CD, "bias": bias_C})
    return linear


def _fit(
    head: nn.Module,
    loss: nn.Module,
    train: Embedded,
    rates: list[dict[str, object]],
    num_classes: int,
    *,
    epochs: int,
    seed: int,
) -> None:
    """AdamW with cosine decay over class-balanced epochs of N draws."""
    classes = train.labels_N.numpy()
    present_C = np.bincount(classes, minlength=num_classes) > 0
    optimiser = torch.optim.AdamW([{**rate, "lr": rate["peak_lr"]} for rate in rates], weight_decay=0.0)
    steps = -(-len(classes) // _BATCH_SIZE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs * steps)
    for epoch in range(epochs):
        draws = draw_by_class(
            classes.tolist(), present_C / present_C.sum(), len(classes), seed=view_seed(seed, epoch, _STAGE)
        )
        for batch in torch.split(torch.tensor(draws) % len(classes), _BATCH_SIZE):
            loss_B = loss(head(train.embeddings_ND[batch]), train.labels_N[batch])
            optimiser.zero_grad()
            loss_B.mean().backward()
            optimiser.step()
            decay.step()
