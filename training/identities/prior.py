"""The prior that a configuration is said to leave, against the logits that fit its objective best.

X places where an image can lie, C classes, p(x | y) known: the best logits are found by minimising the expected
objective, and what they hold beyond log p(x | y) is the prior that is left.
"""

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from training.choices import (
    Discriminant,
    EffectiveNumber,
    Experts,
    InverseFrequency,
    LogitAdjusted,
    Mixing,
    PostHoc,
    Sampling,
    TauNorm,
)
from training.config import RunConfig
from training.data.sampler import class_shares
from training.identities.check import Checks
from training.objective import make_objective
from training.prior import remaining_log_prior
from training.recipes import make_recipe

COUNTS = (400, 90, 20, 5)
NUM_PLACES = 7
CHECKS = Checks()


def cross_entropy(**changes: object) -> RunConfig:
    """Cross-entropy with something in place of its defaults."""
    return make_recipe("cross_entropy").with_(**changes)


def best_logits(config: RunConfig, likelihood_XC: Tensor) -> Tensor:
    """Logits [X, C] that minimise the expected objective of the last epoch, of several experts the mean."""
    objective = make_objective(config, COUNTS).double()
    epochs = config.optimisation.epochs
    objective.epoch = epochs - 1
    shares_C = class_shares(config.sampling, COUNTS, epoch=epochs - 1, epochs=epochs)
    joint_XC = likelihood_XC * torch.from_numpy(shares_C)
    places, labels = (
        index.flatten() for index in torch.meshgrid(*map(torch.arange, joint_XC.shape), indexing="ij")
    )
    logits_KXC = torch.zeros(config.experts.num, *joint_XC.shape, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [logits_KXC], max_iter=2000, tolerance_grad=0, tolerance_change=1e-18, line_search_fn="strong_wolfe"
    )

    def expected() -> Tensor:
        solver.zero_grad()
        shown = logits_KXC[:, places] if config.experts.num > 1 else logits_KXC[0, places]
        loss: Tensor = (objective(shown, labels) * joint_XC.flatten()).sum() / joint_XC.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(expected)  # type: ignore[no-untyped-call]
    return logits_KXC.detach().mean(dim=0)


def leaves_what_is_said(config: RunConfig, tolerance: float = 1e-5) -> bool:
    """Whether the best logits differ from log p(x | y) by the derived prior and by nothing else."""
    generator = torch.Generator().manual_seed(0)
    likelihood_XC = torch.randn(NUM_PLACES, len(COUNTS), dtype=torch.float64, generator=generator).softmax(
        dim=0
    )
    said_C = remaining_log_prior(config, COUNTS)
    assert said_C is not None
    before_C = said_C + config.post_hoc.tau * np.log(
        np.array(COUNTS)
    )  # post hoc changes logits after the fit
    rest_XC = best_logits(config, likelihood_XC) - likelihood_XC.log() - torch.from_numpy(before_C)
    return bool(((rest_XC - rest_XC.mean(dim=1, keepdim=True)).abs() <= tolerance).all())


@CHECKS.add("prior in the logits", "cross-entropy leaves the training prior")
def _plain() -> bool:
    return leaves_what_is_said(cross_entropy())


@CHECKS.add("prior in the logits", "the logit-adjusted loss leaves 1 - tau of it")
def _adjusted() -> bool:
    return all(leaves_what_is_said(cross_entropy(loss=LogitAdjusted(tau=tau))) for tau in (0.5, 1.0, 1.5))


@CHECKS.add("prior in the logits", "class weights leave the prior times the weights, once they are in force")
def _weighted() -> bool:
    weights = (InverseFrequency(gamma=0.5), InverseFrequency(), EffectiveNumber(beta=0.99, after=0.8))
    return all(leaves_what_is_said(cross_entropy(weights=choice)) for choice in weights)


@CHECKS.add("prior in the logits", "a sampler leaves the shares that it draws in the last epoch")
def _sampled() -> bool:
    names = ("class_balanced", "square_root", "progressive", "resampled")
    return all(
        leaves_what_is_said(cross_entropy(sampling=Sampling(name=name, at_least=50))) for name in names
    )


@CHECKS.add(
    "prior in the logits", "the mean of SADE's experts leaves a third of the first and of the third's"
)
def _experts() -> bool:
    return leaves_what_is_said(cross_entropy(experts=Experts(num=3, priors="spread")))


@CHECKS.add("prior in the logits", "corrections that are meant together add up")
def _together() -> bool:
    config = cross_entropy(
        loss=LogitAdjusted(tau=0.3),
        weights=InverseFrequency(gamma=0.2),
        sampling=Sampling(name="square_root"),
        post_hoc=PostHoc(tau=0.1),
        allow_double_correction=True,
    )
    return leaves_what_is_said(config)


def _is_refused(changes: dict[str, object]) -> bool:
    try:
        cross_entropy(**changes)
    except ValueError:
        return True
    return False


@CHECKS.add(
    "correct once",
    "any two of sampler, loss, weights, mixing, stage and post-hoc prior are refused unless both are meant",
)
def _once() -> bool:
    corrections: tuple[dict[str, object], ...] = (
        {"sampling": Sampling(name="class_balanced", after=0.8)},
        {"loss": LogitAdjusted()},
        {"weights": EffectiveNumber()},
        {"stage": TauNorm()},
        {"post_hoc": PostHoc(tau=1.0)},
        {"mixing": Mixing(cmo=0.5), "optimisation": make_recipe("cmo").optimisation},
    )
    pairs = [one | other for one, other in combinations(corrections, 2)]
    pairs.append({"stage": Discriminant(), "post_hoc": PostHoc(tau=1.0)})
    alone = not any(map(_is_refused, corrections))
    meant = not any(_is_refused(pair | {"allow_double_correction": True}) for pair in pairs)
    return alone and meant and all(map(_is_refused, pairs))
