"""Losses for long tails, one small class each; priors and margins are buffers.

Every loss maps unadjusted logits_BC, float [B, C], and labels_B, int64 [B], to the loss of each image, in at least
float32 whatever the logits' precision. The mean over B (not over the sum of weights, as torch's weighted mean) is
the caller's, and so is the share of a mixed image. Legend: B batch (of all processes together: G), C classes.
"""

from collections.abc import Sequence
from math import pi

import torch
from torch import Tensor, nn
from torch.nn import functional

from training import choices


def reversed_log_prior(training_counts: Sequence[int]) -> Tensor:
    """The log prior with the most frequent class's value given to the rarest, and so on [C].

    >>> [round(value, 3) for value in reversed_log_prior([6, 3, 1]).exp().tolist()]
    [0.1, 0.3, 0.6]
    """
    ascending_C, places_C = log_prior(training_counts).sort(stable=True)
    return torch.empty_like(ascending_C).scatter(0, places_C, ascending_C.flip(0))


def log_prior(training_counts: Sequence[int]) -> Tensor:
    """log(n_i / N) in torch's default precision [C]. Raises ValueError for a class without images.

    >>> log_prior([1, 1]).exp().tolist()
    [0.5, 0.5]
    """
    counts_C = _counts(training_counts)
    return (counts_C / counts_C.sum()).log().to(torch.get_default_dtype())


class LogitAdjusted(nn.Module):
    """Cross-entropy on logits shifted by ``tau * log(prior)`` (Menon et al., 2021, eq. 10).

    tau = 1 is balanced softmax (Ren et al., 2020); tau = 0 is cross-entropy.
    """

    log_prior_C: Tensor

    def __init__(
        self, training_counts: Sequence[int], *, tau: float = 1.0, label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("log_prior_C", log_prior(training_counts))
        self.tau = tau
        self.label_smoothing = label_smoothing

    def forward(self, logits_BC: Tensor, labels_B: Tensor) -> Tensor:
        """Loss of each image [B]."""
        adjusted_BC = _widened(logits_BC) + self.tau * self.log_prior_C
        return functional.cross_entropy(
            adjusted_BC, labels_B, reduction="none", label_smoothing=self.label_smoothing
        )


class ReversedPrior(nn.Module):
    """Cross-entropy on logits shifted to favour the tail: ``log(prior) - 2 * log(reversed prior)``.

    The third expert of SADE (Zhang et al., 2022), trained as if the rarest class were the most frequent.
    """

    shift_C: Tensor

    def __init__(self, training_counts: Sequence[int], *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        shift_C = log_prior(training_counts) - 2 * reversed_log_prior(training_counts)
        self.register_buffer("shift_C", shift_C)
        self.label_smoothing = label_smoothing

    def forward(self, logits_BC: Tensor, labels_B: Tensor) -> Tensor:
        """Loss of each image [B]."""
        return functional.cross_entropy(
            _widened(logits_BC) + self.shift_C,
            labels_B,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )


class Focal(nn.Module):
    """``-(1 - p_y)^gamma * log p_y`` with p the softmax (Lin et al., 2017, eq. 4, in its softmax form)."""

    def __init__(self, *, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits_BC: Tensor, labels_B: Tensor) -> Tensor:
        """Loss of each image [B]. Near p = 1 the power keeps a finite gradient, for gamma under 1 too."""
        cross_entropy_B = functional.cross_entropy(_widened(logits_BC), labels_B, reduction="none")
        missed_B = (-torch.expm1(-cross_entropy_B)).clamp_min(1e-12)
        return missed_B**self.gamma * cross_entropy_B


class LDAM(nn.Module):
    """Cross-entropy after the true class's cosine was lowered by its margin (Cao et al., 2019).

    The margin is ``max_margin * (n_i / n_min)^(-1/4)``. Logits arrive as ``scale`` times the cosine, as the head
    gives them and a bundle exports them, so the margin is scaled here and once.
    """

    margins_C: Tensor

    def __init__(
        self, training_counts: Sequence[int], *, max_margin: float = 0.5, scale: float = 30.0
    ) -> None:
        super().__init__()
        counts_C = _counts(training_counts)
        margins_C = max_margin * (counts_C / counts_C.min()) ** -0.25
        self.register_buffer("margins_C", margins_C.to(torch.get_default_dtype()))
        self.scale = scale

    def forward(self, logits_BC: Tensor, labels_B: Tensor) -> Tensor:
        """Loss of each image [B]."""
        logits_BC = _widened(logits_BC)
        lowered_B1 = (-self.scale * self.margins_C[labels_B]).to(logits_BC.dtype).unsqueeze(1)
        return functional.cross_entropy(
            logits_BC.scatter_add(1, labels_B.unsqueeze(1), lowered_B1), labels_B, reduction="none"
        )


class Equalization(nn.Module):
    """Cross-entropy whose softmax leaves out rare classes with probability ``drop``, each image for itself, where
    they are not the label (Tan et al., 2020, softmax form).

    Rare is a prior under ``rare_below / C``. In evaluation nothing is left out. Randomness is torch's own, which
    the training loop seeds with each epoch. A process that has every ``of``-th image of a batch, from ``rank`` on,
    draws for the whole batch, as all others do, and takes its images' numbers.
    """

    rare_C: Tensor

    def __init__(self, training_counts: Sequence[int], *, drop: float = 0.9, rare_below: float = 0.5) -> None:
        super().__init__()
        counts_C = _counts(training_counts)
        self.register_buffer("rare_C", counts_C / counts_C.sum() < rare_below / len(training_counts))
        self.drop = drop
        self.rank, self.of = 0, 1

    def forward(self, logits_BC: Tensor, labels_B: Tensor) -> Tensor:
        """Loss of each image [B]. Left out is minus infinity before the softmax, so that no exponential overflows."""
        logits_BC = _widened(logits_BC)
        if self.training:
            images, classes = logits_BC.shape
            drawn_GC = torch.rand((images * self.of, classes), device=logits_BC.device)
            drawn_BC = drawn_GC[self.rank :: self.of] < self.drop
            left_out_BC = (drawn_BC & self.rare_C).scatter(1, labels_B.unsqueeze(1), False)
            logits_BC = logits_BC.masked_fill(left_out_BC, -torch.inf)
        return functional.cross_entropy(logits_BC, labels_B, reduction="none")


class LabelAwareSmoothing(nn.Module):
    """Label smoothing that grows with the class's images (Zhong et al., 2021, the concave sine).

    ``tail + (head - tail) * sin(pi / 2 * (n_i - n_min) / (n_max - n_min))``, and ``head`` for all where counts are
    equal. Smoothing is torch's, over all C classes, as in the authors' code; their text spreads it over C - 1.
    """

    smoothing_C: Tensor

    def __init__(self, training_counts: Sequence[int], *, head: float = 0.4, tail: float = 0.1) -> None:
        super().__init__()
        counts_C = _counts(training_counts)
        span = counts_C.max() - counts_C.min()
        place_C = (counts_C - counts_C.min()) / span if span else torch.ones_like(counts_C)
        smoothing_C = tail + (head - tail) * (pi / 2 * place_C).sin()
        self.register_buffer("smoothing_C", smoothing_C.to(torch.get_default_dtype()))

    def forward(self, logits_BC: Tensor, labels_B: Tensor) -> Tensor:
        """Loss of each image [B]."""
        log_BC = functional.log_softmax(_widened(logits_BC), dim=1)
        smoothing_B = self.smoothing_C[labels_B]
        named_B = functional.nll_loss(log_BC, labels_B, reduction="none")
        return (1 - smoothing_B) * named_B - smoothing_B * log_BC.mean(dim=1)


def make_loss(choice: choices.Loss, training_counts: Sequence[int], *, scale: float = 1.0) -> nn.Module:
    """The loss of a configuration; ``scale`` is a cosine head's. Cross-entropy is logit-adjusted at tau = 0."""
    if isinstance(choice, choices.Focal):
        return Focal(gamma=choice.gamma)
    if isinstance(choice, choices.LDAM):
        return LDAM(training_counts, max_margin=choice.max_margin, scale=scale)
    if isinstance(choice, choices.Equalization):
        return Equalization(training_counts, drop=choice.drop, rare_below=choice.rare_below)
    if isinstance(choice, choices.LabelAwareSmoothing):
        return LabelAwareSmoothing(training_counts, head=choice.head, tail=choice.tail)
    tau = choice.tau if isinstance(choice, choices.LogitAdjusted) else 0.0
    return LogitAdjusted(training_counts, tau=tau, label_smoothing=choice.label_smoothing)


def _counts(training_counts: Sequence[int]) -> Tensor:
    if min(training_counts) < 1:
        raise ValueError("every class needs at least one training image for a prior")
    return torch.tensor(training_counts, dtype=torch.float64)


def _widened(logits_BC: Tensor) -> Tensor:
    return logits_BC.to(torch.promote_types(logits_BC.dtype, torch.float32))
