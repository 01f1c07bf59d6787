"""Identities of several experts: what they come back to when they are one, alike, or on equal classes."""

import torch
from torch import Tensor, nn

from training.choices import Experts
from training.experts import ExpertHeads, ExpertsLoss, ParallelStage, divergence
from training.identities.check import Checks, close, in_float64
from training.identities.losses import COUNTS, EQUAL, batch, is_cross_entropy
from training.losses import LDAM, LogitAdjusted, ReversedPrior, log_prior, reversed_log_prior
from training.objective import make_objective
from training.recipes import make_recipe

CHECKS = Checks()


def three() -> Tensor:
    """Logits [3, 16, C] of experts that differ, in float64."""
    logits_BC, _ = batch()
    return torch.stack([logits_BC, 2 * logits_BC, logits_BC.flip(1)])


@CHECKS.add("RIDE", "one expert without diversity has the base loss")
def _one_expert() -> bool:
    logits_BC, labels_B = batch()
    loss = LDAM(COUNTS)
    return close(ExpertsLoss([loss])(logits_BC[None], labels_B), loss(logits_BC, labels_B), 0.0)


@CHECKS.add("RIDE", "experts that agree have no divergence, others have some")
def _agreement() -> bool:
    logits_BC, _ = batch()
    agreed_B = divergence(logits_BC.expand(3, -1, -1))
    return close(agreed_B, torch.zeros_like(agreed_B)) and bool((divergence(three()) > 0).all())


@CHECKS.add("RIDE", "diversity takes KL(mean || expert) from the loss, so that experts move apart")
def _sign() -> bool:
    _, labels_B = batch()
    logits_KBC = three()
    losses = [LogitAdjusted(COUNTS, tau=0.0) for _ in range(3)]
    p_BC, q_KBC = logits_KBC.mean(dim=0).softmax(dim=1), logits_KBC.softmax(dim=2)
    kl_B = (p_BC * (p_BC.log() - q_KBC.log())).sum(dim=2).mean(dim=0)
    plain_B = ExpertsLoss(losses)(logits_KBC, labels_B)
    return close(ExpertsLoss(losses, diversity=0.2)(logits_KBC, labels_B), plain_B - 0.2 * kl_B)


@CHECKS.add("SADE", "with equal counts all three experts have cross-entropy")
def _equal_experts() -> bool:
    config = make_recipe("baseline").with_(
        experts=Experts(num=3, priors="spread"), loss={"name": "cross_entropy"}
    )
    found = make_objective(config, EQUAL).loss
    return isinstance(found, ExpertsLoss) and all(is_cross_entropy(loss) for loss in found.losses)


@CHECKS.add("SADE", "the reversed prior gives the rarest class the share of the most frequent, and so on")
def _reversed() -> bool:
    expected_C = log_prior(COUNTS).flip(0)
    shuffled = reversed_log_prior((COUNTS[2], COUNTS[0], COUNTS[4]))
    return bool(reversed_log_prior(COUNTS).equal(expected_C)) and bool(
        shuffled.equal(log_prior((COUNTS[2], COUNTS[4], COUNTS[0])))
    )


@CHECKS.add("SADE", "the third expert learns twice the reversed prior")
def _third_expert() -> bool:
    counts_C = torch.tensor(COUNTS, dtype=torch.float64)
    with in_float64():
        best_C = (2 * reversed_log_prior(COUNTS)).requires_grad_()
        loss_C = ReversedPrior(COUNTS)(best_C.expand(len(COUNTS), -1), torch.arange(len(COUNTS)))
    (gradient_C,) = torch.autograd.grad((loss_C * counts_C / counts_C.sum()).sum(), best_C)
    return close(gradient_C, torch.zeros_like(gradient_C))


@CHECKS.add("several experts", "a stage in copies of one gives each image K times, expert by expert")
def _stacked() -> bool:
    generator = torch.Generator().manual_seed(0)
    images_BD = torch.randn(5, 4, generator=generator)
    stage, heads = ParallelStage([nn.Identity(), nn.ReLU()]), ExpertHeads([nn.Identity(), nn.Identity()])
    logits_KBC = heads.train()(stage(images_BD))
    expected_KBC = torch.stack([images_BD, images_BD.relu()])
    mean_BC = heads.eval()(stage(images_BD))
    return close(logits_KBC, expected_KBC, 0.0) and close(mean_BC, expected_KBC.mean(dim=0), 1e-7)
