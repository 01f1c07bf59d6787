"""Identities of the contrastive losses: what they are in plain loops, and what they come back to.

Legend: B anchors, A compared images, C classes, P projection; all in float64.
"""

from math import exp, log

import torch
from torch import Tensor
from torch.nn import functional

from training.choices import LogitAdjusted as LogitAdjustedChoice
from training.classifier import make_classifier
from training.contrastive import parametric_contrast, positives, similarities, supervised_contrast
from training.identities.check import Checks, close
from training.identities.losses import COUNTS, EQUAL
from training.losses import log_prior
from training.momentum import MomentumQueue, Projected
from training.prior import prior_in_logits
from training.recipes import make_recipe
from training.step_loss import PaCoStep, make_step

TEMPERATURE = 0.1
CHECKS = Checks()


def views() -> tuple[Tensor, Tensor]:
    """Random projections [16, 6] of eight photos' two views, and their labels [16]."""
    generator = torch.Generator().manual_seed(0)
    labels_B = torch.randint(3, (8,), generator=generator).repeat(2)
    return torch.randn(16, 6, dtype=torch.float64, generator=generator), labels_B


def compared() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centres' logits [8, C], similarities [8, 8 + 12], labels [8] and positives [8, 20], at PaCo's temperature."""
    generator = torch.Generator().manual_seed(0)
    centres_BC = torch.randn(8, len(COUNTS), dtype=torch.float64, generator=generator)
    queries_BP = torch.randn(8, 6, dtype=torch.float64, generator=generator)
    keys_AP = torch.randn(12, 6, dtype=torch.float64, generator=generator)
    labels_B = torch.arange(8) % len(COUNTS)
    key_labels_A = torch.randint(len(COUNTS), (12,), generator=generator)
    similar_BA = similarities(queries_BP, keys_AP, 0.05)
    return centres_BC, similar_BA, labels_B, positives(labels_B, key_labels_A)


def unit_rows(rows: Tensor) -> list[list[float]]:
    """Rows brought to length one, as numbers."""
    return [[value / sum(v * v for v in row) ** 0.5 for value in row] for row in rows.tolist()]


@CHECKS.add(
    "supervised contrast",
    "it is the mean over positives of -log(exp(z z+ / t) / sum exp(z za / t)) by loops",
)
def _supcon_loops() -> bool:
    projections_BP, labels_B = views()
    z, labels, losses = unit_rows(projections_BP), labels_B.tolist(), []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        similar = {a: sum(x * y for x, y in zip(z[i], z[a], strict=True)) / TEMPERATURE for a in others}
        total = sum(exp(value) for value in similar.values())
        own = [a for a in others if labels[a] == labels[i]]
        losses.append(-sum(log(exp(similar[p]) / total) for p in own) / len(own))
    found_B = supervised_contrast(projections_BP, labels_B, temperature=TEMPERATURE)
    return close(found_B, torch.tensor(losses, dtype=torch.float64))


@CHECKS.add(
    "supervised contrast", "with one positive it is cross-entropy of the pair among all other images: InfoNCE"
)
def _one_positive() -> bool:
    projections_BP, _ = views()
    found_B = supervised_contrast(projections_BP, torch.arange(8).repeat(2), temperature=TEMPERATURE)
    z_BP = projections_BP / projections_BP.norm(dim=1, keepdim=True)
    for anchor in range(16):
        others = torch.tensor([other for other in range(16) if other != anchor])
        pair = (others == (anchor + 8) % 16).nonzero().flatten()
        logits_1A = (z_BP[others] @ z_BP[anchor] / TEMPERATURE).unsqueeze(0)
        if not close(found_B[anchor], functional.cross_entropy(logits_1A, pair)):
            return False
    return True


@CHECKS.add("supervised contrast", "the order of a batch changes nothing")
def _any_order() -> bool:
    projections_BP, labels_B = views()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    found_B = supervised_contrast(projections_BP[order], labels_B[order], temperature=TEMPERATURE)
    return close(found_B, supervised_contrast(projections_BP, labels_B, temperature=TEMPERATURE)[order])


@CHECKS.add("PaCo", "it is the weighted mean of -log p over centre and positives by loops")
def _paco_loops() -> bool:
    centres_BC, similar_BA, labels_B, positive_BA = compared()
    alpha, beta, gamma, losses = 0.3, 0.8, 0.6, []
    for i, label in enumerate(labels_B.tolist()):
        images = [a for a in range(20) if a != i]
        total = sum(exp(value) for value in centres_BC[i].tolist())
        total += gamma * sum(exp(float(similar_BA[i, a])) for a in images)
        own = [a for a in images if positive_BA[i, a]]
        weighted = beta * log(exp(float(centres_BC[i, label])) / total)
        weighted += alpha * sum(log(exp(float(similar_BA[i, a])) / total) for a in own)
        losses.append(-weighted / (beta + alpha * len(own)))
    found_B = parametric_contrast(
        centres_BC, similar_BA, labels_B, positive_BA, alpha=alpha, beta=beta, gamma=gamma
    )
    return close(found_B, torch.tensor(losses, dtype=torch.float64))


@CHECKS.add(
    "PaCo", "alpha = 0 is cross-entropy on the centres with every image a further class that is never right"
)
def _no_alpha() -> bool:
    centres_BC, similar_BA, labels_B, positive_BA = compared()
    found_B = parametric_contrast(centres_BC, similar_BA, labels_B, positive_BA, alpha=0.0, beta=0.7)
    every_BX = torch.cat([centres_BC, similar_BA], dim=1)
    return close(found_B, functional.cross_entropy(every_BX, labels_B, reduction="none"))


@CHECKS.add("PaCo", "alpha = 0 and gamma = 0 is cross-entropy on the centres")
def _no_images() -> bool:
    centres_BC, similar_BA, labels_B, positive_BA = compared()
    found_B = parametric_contrast(centres_BC, similar_BA, labels_B, positive_BA, alpha=0.0, gamma=0.0)
    return close(found_B, functional.cross_entropy(centres_BC, labels_B, reduction="none"))


@CHECKS.add("PaCo", "one image and an empty queue is cross-entropy on the centres")
def _alone() -> bool:
    centres_BC, _, labels_B, _ = compared()
    nothing_11 = torch.full((1, 1), -torch.inf, dtype=torch.float64)
    found_B = parametric_contrast(centres_BC[:1], nothing_11, labels_B[:1], nothing_11 > 0, alpha=0.01)
    return close(found_B, functional.cross_entropy(centres_BC[:1], labels_B[:1], reduction="none"))


@CHECKS.add(
    "PaCo", "at its best the centre of K positives has beta / (beta + alpha K), and each of them alpha of it"
)
def _best_shares() -> bool:
    """Remark 2 of the paper: a frequent class, with more positives, has less of it on its centre."""
    alpha, beta, num_positives = 0.05, 1.0, 7
    weights_X = torch.tensor([beta] + [alpha] * num_positives, dtype=torch.float64)
    best_X = (weights_X / weights_X.sum()).log()
    low = torch.full((1, 4), -60.0, dtype=torch.float64)
    centres_1C = torch.cat([best_X[None, :1], low], dim=1).requires_grad_()
    similar_1A = torch.cat([best_X[None, 1:], low], dim=1).requires_grad_()
    positive_1A = torch.arange(similar_1A.shape[1]) < num_positives
    loss_1 = parametric_contrast(
        centres_1C, similar_1A, torch.tensor([0]), positive_1A[None], alpha=alpha, beta=beta
    )
    gradients = torch.autograd.grad(loss_1.sum(), (centres_1C, similar_1A))
    return all(close(gradient, torch.zeros_like(gradient)) for gradient in gradients)


def paco_step(counts: tuple[int, ...], *, beside: float = 0.0) -> PaCoStep:
    """The step of the debugging network with PaCo, and with an adjusted loss beside it where asked for."""
    config = make_recipe("debug").with_(
        contrastive=make_recipe("paco").contrastive,
        loss=LogitAdjustedChoice(tau=beside),
        optimisation={"mixup_alpha": 0.0},
        allow_double_correction=True,
    )
    step = make_step(config, make_classifier(config, len(counts)), counts)
    assert isinstance(step, PaCoStep)
    return step


@CHECKS.add("PaCo", "centres are shifted by log(prior), and once more where an adjusted loss is meant too")
def _shift() -> bool:
    once, twice = paco_step(COUNTS).shift_C, paco_step(COUNTS, beside=1.0).shift_C
    return close(once, log_prior(COUNTS), 0.0) and close(twice, 2 * log_prior(COUNTS), 1e-6)


@CHECKS.add("PaCo", "equal counts shift all centres alike and leave no prior")
def _equal_counts() -> bool:
    shift_C = paco_step(EQUAL).shift_C
    return bool(shift_C.max() == shift_C.min()) and prior_in_logits(make_recipe("paco"), EQUAL) == "none"


@CHECKS.add("momentum encoder", "momentum 1 stays as it was, momentum 0 is the learning encoder")
def _momentum() -> bool:
    learning = Projected(make_classifier(make_recipe("debug"), 3), 4)
    follows, stays = (MomentumQueue(learning, 4, 8, momentum) for momentum in (0.0, 1.0))
    before, now = stays.encoder.projection.state_dict(), learning.projection.state_dict()
    before = {key: value.clone() for key, value in before.items()}
    for value in now.values():
        value.add_(1.0)
    for queue in (follows, stays):
        queue.follow(learning)
    return all(
        close(follows.encoder.projection.state_dict()[key], now[key], 1e-6)
        and close(stays.encoder.projection.state_dict()[key], before[key], 0.0)
        for key in now
    )


@CHECKS.add("momentum encoder", "the queue holds the last Q keys and their classes")
def _queue() -> bool:
    queue = MomentumQueue(Projected(make_classifier(make_recipe("debug"), 3), 4), 4, 5, 0.9)
    keys_NP = torch.arange(1.0, 53.0).view(13, 4)
    for first, last in ((0, 3), (3, 6), (6, 13)):
        queue.push(keys_NP[first:last], torch.arange(first, last))
        held_QP, held_Q = queue.held()
        order = held_Q.argsort()
        if not (held_Q[order].equal(torch.arange(max(0, last - 5), last))):
            return False
        if not held_QP[order].equal(keys_NP[max(0, last - 5) : last]):
            return False
    return True


@CHECKS.add("contrast", "the gradient is the one that differences find")
def _gradients() -> bool:
    projections_BP, labels_B = views()
    centres_BC, _, _, positive_BA = compared()
    keys_AP = views()[0][:12]

    def supcon(z_BP: Tensor) -> Tensor:
        return supervised_contrast(z_BP, labels_B, temperature=0.5)

    def paco(c_BC: Tensor, z_BP: Tensor) -> Tensor:
        similar_BA = similarities(z_BP, keys_AP, 0.5)
        return parametric_contrast(c_BC, similar_BA, torch.arange(8) % 5, positive_BA, alpha=0.1)

    both = (centres_BC.clone().requires_grad_(), projections_BP[:8].clone().requires_grad_())
    return torch.autograd.gradcheck(
        supcon, (projections_BP.clone().requires_grad_(),), raise_exception=False
    ) and torch.autograd.gradcheck(paco, both, raise_exception=False)


@CHECKS.add(
    "contrast", "logits and projections of 1000 in half precision give a finite loss and gradient in float32"
)
def _finite() -> bool:
    return all(_is_finite(dtype) for dtype in (torch.float16, torch.bfloat16))


def _is_finite(dtype: torch.dtype) -> bool:
    rows_BC = torch.tensor([[1e3, -1e3, 0.0, 1e3, -1e3]] * 5, dtype=dtype, requires_grad=True)
    labels_B = torch.arange(5)
    similar_BA = similarities(rows_BC, rows_BC.detach(), 0.05)
    losses = (
        supervised_contrast(rows_BC, labels_B % 2, temperature=0.05),
        parametric_contrast(rows_BC, similar_BA, labels_B, positives(labels_B, labels_B), alpha=0.01),
    )
    gradients = [torch.autograd.grad(loss_B.sum(), rows_BC, retain_graph=True)[0] for loss_B in losses]
    return all(bool(found.isfinite().all()) for found in (*losses, *gradients)) and all(
        loss_B.dtype == torch.float32 for loss_B in losses
    )
