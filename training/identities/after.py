"""Identities of what is done after training: post-hoc adjustment and second stages. Legend: N images, C classes."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from training import choices, stages
from training.config import Model
from training.heads import CosineHead
from training.identities.check import Checks, close
from training.post_hoc import adjust_logits, choose_tau, macro_recall, tau_normalised
from training.stages import Embedded, ScaledLinear

COUNTS = (60, 20, 6, 2)
CHECKS = Checks()


def log_prior() -> NDArray[np.float64]:
    """log(n_i / N) in float64 [C]."""
    prior_C: NDArray[np.float64] = np.log(np.array(COUNTS) / sum(COUNTS))
    return prior_C


def logits() -> NDArray[np.float64]:
    """Random logits [64, C]."""
    return np.random.default_rng(0).normal(size=(64, len(COUNTS)))


def embedded(counts: tuple[int, ...] = COUNTS) -> Embedded:
    """Embeddings of 8 features around a centre for each class, always the same."""
    generator = torch.Generator().manual_seed(0)
    labels_N = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    centres_CD = torch.randn(len(counts), 8, generator=generator)
    noise_ND = torch.randn(len(labels_N), 8, generator=generator)
    return Embedded(centres_CD[labels_N] + 1.5 * noise_ND, labels_N)


def linear() -> nn.Linear:
    """A linear head from 8 features with weights of its own, always the same."""
    head = nn.Linear(8, len(COUNTS))
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(len(COUNTS), 9, generator=generator)
    head.load_state_dict({"weight": weights[:, :8], "bias": weights[:, 8]})
    return head


@CHECKS.add("post-hoc adjustment", "tau = 0 leaves the logits as they are")
def _no_adjustment() -> bool:
    return np.array_equal(adjust_logits(logits(), log_prior(), tau=0.0), logits())


@CHECKS.add("post-hoc adjustment", "the training prior as target leaves the logits as they are")
def _same_target() -> bool:
    found = adjust_logits(logits(), log_prior(), log_target_C=log_prior())
    return bool(np.abs(found - logits()).max() < 1e-12)


@CHECKS.add("post-hoc adjustment", "adjusted logits at the logit-adjusted loss's shift are the logits again")
def _undoes_the_loss() -> bool:
    shifted_NC = logits() + log_prior()
    return bool(np.abs(adjust_logits(shifted_NC, log_prior()) - logits()).max() < 1e-12)


@CHECKS.add(
    "post-hoc adjustment", "a class nobody expects is not named, and an expected one is named more often"
)
def _target() -> bool:
    def named(expected: float) -> int:
        target_C = np.log(np.array([expected, 1.0, 1.0, 1.0]))
        found_NC = adjust_logits(logits(), log_prior(), log_target_C=target_C)
        return int((found_NC.argmax(axis=1) == 0).sum())

    return named(1e-12) == 0 < named(10.0) < named(1e12) == len(logits())


@CHECKS.add("tau-normalisation", "tau = 0 leaves the weights as they are")
def _tau_zero() -> bool:
    weight_CD = linear().weight.detach().double().numpy()
    return np.array_equal(tau_normalised(weight_CD, 0.0), weight_CD)


@CHECKS.add("tau-normalisation", "tau = 1 gives rows of length one")
def _tau_one() -> bool:
    weight_CD = linear().weight.detach().double().numpy()
    return bool(np.abs(np.linalg.norm(tau_normalised(weight_CD, 1.0), axis=1) - 1).max() < 1e-12)


@CHECKS.add("tau-normalisation", "a bias is left out, which would undo it")
def _no_bias() -> bool:
    head = stages.tau_norm(linear(), 1.0)
    embeddings_ND = embedded().embeddings_ND
    unit_CD = functional.normalize(linear().weight.detach(), dim=1)
    return close(head(embeddings_ND), embeddings_ND @ unit_CD.T, 1e-5)


@CHECKS.add("tau-normalisation", "the chosen tau is as good on validation as any other")
def _best_tau() -> bool:
    weight_CD = linear().weight.detach().double().numpy()
    embeddings_ND, labels_N = (part.numpy() for part in embedded())
    recalls = [
        macro_recall(embeddings_ND @ tau_normalised(weight_CD, tau / 10).T, labels_N) for tau in range(21)
    ]
    chosen = choose_tau(weight_CD, embeddings_ND, labels_N)
    return recalls[round(chosen * 10)] == max(recalls) > min(recalls)


@CHECKS.add("post-hoc adjustment", "taken from probabilities instead of logits, it would name other classes")
def _not_from_probabilities() -> bool:
    right_N = adjust_logits(logits(), log_prior()).argmax(axis=1)
    chances_NC = np.exp(logits()) / np.exp(logits()).sum(axis=1, keepdims=True)
    return bool((right_N != (chances_NC - log_prior()).argmax(axis=1)).mean() > 0.1)


@CHECKS.add("LWS", "scales of 1 give the same logits")
def _scales_of_one() -> bool:
    head, scaled = linear(), ScaledLinear(linear())
    embeddings_ND = embedded().embeddings_ND
    expected_NC = head(embeddings_ND)
    return bool(scaled(embeddings_ND).equal(expected_NC)) and close(
        scaled.merged()(embeddings_ND), expected_NC, 1e-6
    )


@CHECKS.add("LWS", "merged weights give the logits of the scaled head, and each row keeps its direction")
def _merged() -> bool:
    before = linear()
    after = stages.lws(before, embedded(), choices.LWS(epochs=2), seed=0)
    cosines_C = functional.cosine_similarity(before.weight, after.weight).abs()
    moved = not after.weight.equal(before.weight)
    return moved and close(cosines_C, torch.ones(len(COUNTS)), 1e-5)


@CHECKS.add("cRT", "it begins anew: the head that was there does not matter, the seed does")
def _begun_anew() -> bool:
    first, again, other = (
        stages.crt(Model(), embedded(), choices.CRT(epochs=1), len(COUNTS), seed=seed).state_dict()["weight"]
        for seed in (0, 0, 1)
    )
    return bool(first.equal(again)) and not first.equal(other)


@CHECKS.add("cRT", "it names the rare classes of its training images more often than their prior does")
def _balanced() -> bool:
    head = stages.crt(Model(), embedded(), choices.CRT(epochs=30, lr=0.05), len(COUNTS), seed=0)
    embeddings_ND, labels_N = embedded()
    return macro_recall(head(embeddings_ND).detach().double().numpy(), labels_N.numpy()) > 0.8


@CHECKS.add("NCM", "the prototype of one image is that image's embedding")
def _one_image() -> bool:
    one_each = embedded((1,) * len(COUNTS))
    expected_CD = functional.normalize(one_each.embeddings_ND, dim=1)
    return close(stages.prototypes(one_each, len(COUNTS)), expected_CD, 1e-7)


@CHECKS.add("NCM", "an image's logits are scale times its cosine with each prototype")
def _nearest() -> bool:
    train = embedded()
    head = stages.ncm(CosineHead(8, len(COUNTS), scale=16.0), train)
    unit_ND = functional.normalize(train.embeddings_ND, dim=1)
    means_CD = torch.stack([unit_ND[train.labels_N == label].mean(dim=0) for label in range(len(COUNTS))])
    expected_NC = 16 * unit_ND @ functional.normalize(means_CD, dim=1).T
    return close(head(train.embeddings_ND).detach(), expected_NC, 1e-4)


@CHECKS.add("every second stage", "the head that it is given stays as it was")
def _pure() -> bool:
    head, train = linear(), embedded()
    before = {key: value.clone() for key, value in head.state_dict().items()}
    stages.lws(head, train, choices.LWS(epochs=1), seed=0)
    stages.mislas(head, train, COUNTS, choices.MiSLAS(epochs=1), seed=0)
    stages.tau_norm(head, stages.best_tau(head, train))
    return all(bool(value.equal(before[key])) for key, value in head.state_dict().items())
