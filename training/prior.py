"""The class prior that a finished run leaves in its logits, derived from its configuration. Legend: C classes."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.auxiliary import Distillation, PaCo
from training.choices import Discriminant, Equalization, LogitAdjusted
from training.class_weights import make_class_weights
from training.config import RunConfig
from training.data.sampler import class_shares
from training.losses import log_prior, reversed_log_prior

LogitPrior = Literal["none", "training", "partial"]

_TOLERANCE = 0.02
"""Natural logarithm: priors within two in a hundred of each other are one prior."""


def remaining_log_prior(config: RunConfig, training_counts: Sequence[int]) -> NDArray[np.float64] | None:
    """log of the prior in the logits [C], up to a constant; None where nobody can derive it.

    The best fit of cross-entropy to images drawn as q, weighted by w and adjusted by ``tau * log(prior)`` keeps
    ``log q + log w - tau * log(prior)``: what the last epoch does counts. Focal loss, margins and smoothing keep
    about the same of classes that a photo may well show; what it gives less than the smoothing's share (0.1 over
    200 classes: 0.0005), smoothing hides. A second stage on class-balanced draws, or of class means, keeps none,
    nor does a discriminant alone; half of one leaves something between, and so do learnt scales (LWS), which leave
    a bias and directions as they were. Post-hoc adjustment then takes its share, or, chosen on validation, what is
    left. Remix gives labels to rarer classes, and CMO images, by an amount that depends on which images met.
    Supervised contrast beside the loss says nothing of the head. PaCo leaves more of a frequent class to its other
    images, which can be derived only where it is the same for all; teachers as finished say what their run leaves.
    """
    if not config.distillation.student:  # the teachers' soup, as they were finished
        config = config.with_(distillation=Distillation())
    log_counts_C = np.log(np.array(training_counts, dtype=np.float64))
    if config.post_hoc.tau is None:
        return np.zeros_like(log_counts_C)
    if config.stage.name in ("crt", "mislas", "ncm"):
        return -config.post_hoc.tau * log_counts_C
    if config.stage.name == "lws":
        return None
    learnt_C = _learnt(config, training_counts)
    if isinstance(config.stage, Discriminant) and config.stage.share == 1:
        learnt_C = np.zeros_like(log_counts_C)
    if learnt_C is None or (config.stage.name == "tau_norm" and config.stage.moves_prior):
        return None
    if isinstance(config.stage, Discriminant) and config.stage.share > 0 and np.ptp(learnt_C) > _TOLERANCE:
        return None  # whatever post-hoc adjustment takes: nobody knows what it takes it from
    remaining_C: NDArray[np.float64] = learnt_C - config.post_hoc.tau * log_counts_C
    return remaining_C


def _learnt(config: RunConfig, training_counts: Sequence[int]) -> NDArray[np.float64] | None:
    """log of the prior in the logits once the epochs are over [C]; None where nobody can derive it."""
    if (isinstance(config.loss, Equalization) and config.loss.moves_prior) or config.mixes_for_the_tail:
        return None
    last, epochs = config.optimisation.epochs - 1, config.optimisation.epochs
    shares_C = class_shares(config.sampling, training_counts, epoch=last, epochs=epochs)
    weights_C = make_class_weights(config.weights, training_counts).numpy()
    own_C: NDArray[np.float64] = np.log(shares_C) + np.log(weights_C) - _shift(config, training_counts)
    if (
        isinstance(config.contrastive, PaCo)
        and np.ptp(_left_to_images(config, shares_C, training_counts)) > _TOLERANCE
    ):
        return None
    return _taught(config, own_C, training_counts) if config.distillation.learns else own_C


def _left_to_images(
    config: RunConfig, shares_C: NDArray[np.float64], training_counts: Sequence[int]
) -> NDArray[np.float64]:
    """``-log(beta + alpha * K)`` with K the positives that an image of each class [C] has in a batch and a full queue.

    What PaCo's centres lack at their best (Cui et al., 2021, remark 2) where images can be as alike as they like to
    be, which they cannot quite: good for saying that it is nothing, not for what it is.
    """
    choice = config.contrastive
    assert isinstance(choice, PaCo)
    compared = 2 * config.optimisation.batch_size - 1 + choice.queue_length(sum(training_counts))
    left_C: NDArray[np.float64] = -np.log(choice.beta + choice.alpha * compared * shares_C)
    return left_C


def _taught(
    config: RunConfig, own_C: NDArray[np.float64], training_counts: Sequence[int]
) -> NDArray[np.float64] | None:
    """What is left where loss and teachers pull: known if both leave the same, or where teachers alone are heard."""
    alone = config.with_(distillation=Distillation())
    teachers_C = remaining_log_prior(alone, training_counts)
    if teachers_C is None or config.distillation.weight == 1:
        return teachers_C
    return own_C if np.ptp(teachers_C - own_C) <= _TOLERANCE else None


def _shift(config: RunConfig, training_counts: Sequence[int]) -> NDArray[np.float64]:
    """What the loss adds to the logits in training [C], so that they do without; of several experts the mean."""
    log_prior_C = log_prior(training_counts).double().numpy()
    if config.experts.priors == "spread":
        reversed_C = reversed_log_prior(training_counts).double().numpy()
        mean_C: NDArray[np.float64] = np.mean(
            [0 * log_prior_C, log_prior_C, log_prior_C - 2 * reversed_C], axis=0
        )
        return mean_C
    tau = config.loss.tau if isinstance(config.loss, LogitAdjusted) else 0.0
    if isinstance(config.contrastive, PaCo):
        tau += config.contrastive.tau
    shift_C: NDArray[np.float64] = tau * log_prior_C
    return shift_C


def prior_in_logits(config: RunConfig, training_counts: Sequence[int]) -> LogitPrior:
    """What the card records: the prior of the training images, none, or something between or unknown."""
    return kind_of_prior(remaining_log_prior(config, training_counts), training_counts)


def kind_of_prior(remaining_C: NDArray[np.float64] | None, training_counts: Sequence[int]) -> LogitPrior:
    """The same of a log prior [C], known up to a constant or (None) not at all."""
    if remaining_C is None:
        return "partial"
    if np.ptp(remaining_C) <= _TOLERANCE:
        return "none"
    whole_C = np.log(np.array(training_counts, dtype=np.float64))
    return "training" if np.ptp(remaining_C - whole_C) <= _TOLERANCE else "partial"
