"""Losses for long tails, one small class each; priors are buffers. Legend: B batch, C classes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training import config


def log_prior(training_counts: Sequence[int]) -> Tensor:
    """log(n_i / N), float32 [C]. Raises ValueError for a class without images.

    >>> log_prior([1, 1]).exp().tolist()
    [0.5, 0.5]
    """
    if min(training_counts) < 1:
        raise ValueError("every class needs at least one training image for a prior")
    counts_C = torch.tensor(training_counts, dtype=torch.float64)
    return (counts_C / counts_C.sum()).log().float()


class LogitAdjusted(nn.Module):
    """Cross-entropy on logits shifted by ``tau * log(prior)`` (Menon et al., 2021, eq. 10).

    tau = 1 is balanced softmax (Ren et al., 2020); tau = 0 is cross-entropy. logits_BC: float [B, C], unadjusted.
    labels_B: int64 [B]. Returns the loss of each image, float32 [B].
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
        """Loss of each image, in at least float32 whatever the logits' precision."""
        logits_BC = logits_BC.to(torch.promote_types(logits_BC.dtype, torch.float32))
        adjusted_BC = logits_BC + self.tau * self.log_prior_C
        return functional.cross_entropy(
            adjusted_BC, labels_B, reduction="none", label_smoothing=self.label_smoothing
        )


def make_loss(choice: config.Loss, training_counts: Sequence[int]) -> LogitAdjusted:
    """The loss of a configuration. Plain cross-entropy is the logit-adjusted loss at tau = 0."""
    tau = choice.tau if isinstance(choice, config.LogitAdjusted) else 0.0
    return LogitAdjusted(training_counts, tau=tau, label_smoothing=choice.label_smoothing)


def prior_in_logits(choice: config.Loss) -> str:
    """What prior a trained network's logits carry: ``training`` or ``none``. The card records it."""
    corrected = isinstance(choice, config.LogitAdjusted) and choice.tau == 1.0
    return "none" if corrected else "training"
