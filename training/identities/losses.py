"""Identities of the losses and class weights. Legend: B batch, C classes; all in float64 where it matters."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.choices import EffectiveNumber
from training.class_weights import effective_number, inverse_frequency
from training.heads import CosineHead
from training.identities.check import Checks, close, in_float64, rises
from training.losses import LDAM, Equalization, Focal, LabelAwareSmoothing, LogitAdjusted
from training.objective import Objective, make_objective
from training.recipes import make_recipe

COUNTS = (100, 50, 20, 5, 1)
EQUAL = (7,) * len(COUNTS)
CHECKS = Checks()


def batch() -> tuple[Tensor, Tensor]:
    """Random logits [16, C] in float64 and labels [16], always the same."""
    generator = torch.Generator().manual_seed(0)
    logits_BC = torch.randn(16, len(COUNTS), dtype=torch.float64, generator=generator)
    return logits_BC, torch.randint(len(COUNTS), (16,), generator=generator)


def cross_entropy(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """The loss that most of these come back to."""
    return functional.cross_entropy(logits_BC, labels_B, reduction="none")


def is_cross_entropy(loss: nn.Module) -> bool:
    """Whether a loss gives torch's cross-entropy on the random batch."""
    logits_BC, labels_B = batch()
    return close(loss.double()(logits_BC, labels_B), cross_entropy(logits_BC, labels_B))


@CHECKS.add("logit adjustment", "tau = 0 is cross-entropy")
def _no_adjustment() -> bool:
    return is_cross_entropy(LogitAdjusted(COUNTS, tau=0.0))


@CHECKS.add("logit adjustment", "equal counts are cross-entropy, whatever tau is")
def _equal_priors() -> bool:
    return is_cross_entropy(LogitAdjusted(EQUAL, tau=1.7))


@CHECKS.add("balanced softmax", "it is the logit-adjusted loss at tau = 1")
def _balanced_softmax() -> bool:
    logits_BC, labels_B = batch()
    weighted_BC = torch.tensor(COUNTS, dtype=torch.float64) * logits_BC.exp()
    expected_B = -(weighted_BC[torch.arange(16), labels_B] / weighted_BC.sum(dim=1)).log()
    with in_float64():
        return close(LogitAdjusted(COUNTS, tau=1.0)(logits_BC, labels_B), expected_B)


@CHECKS.add("weighted softmax", "equal counts are cross-entropy")
def _equal_weights() -> bool:
    weights_C = inverse_frequency(EQUAL, gamma=1.0)
    return is_cross_entropy(Objective(LogitAdjusted(EQUAL, tau=0.0), weights_C))


@CHECKS.add("weighted softmax", "each image has torch's weighted cross-entropy")
def _torch_weights() -> bool:
    logits_BC, labels_B = batch()
    weights_C = inverse_frequency(COUNTS, gamma=0.5)
    with in_float64():
        found_B = Objective(LogitAdjusted(COUNTS, tau=0.0), weights_C)(logits_BC, labels_B)
    expected_B = functional.cross_entropy(logits_BC, labels_B, weight=weights_C, reduction="none")
    return close(found_B, expected_B)


@CHECKS.add("focal", "gamma = 0 is cross-entropy")
def _no_focus() -> bool:
    return is_cross_entropy(Focal(gamma=0.0))


@CHECKS.add("focal", "it is -(1 - p)^gamma log p of the softmax")
def _focal_definition() -> bool:
    logits_BC, labels_B = batch()
    p_B = logits_BC.softmax(dim=1)[torch.arange(16), labels_B]
    return close(Focal(gamma=2.0)(logits_BC, labels_B), -((1 - p_B) ** 2) * p_B.log())


@CHECKS.add("focal", "a class weight scales the loss linearly")
def _focal_weight() -> bool:
    logits_BC, labels_B = batch()
    weights_C = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64)
    found_B = Objective(Focal(), weights_C)(logits_BC, labels_B)
    return close(found_B, weights_C[labels_B] * Focal()(logits_BC, labels_B))


@CHECKS.add("class-balanced", "beta = 0 gives ones")
def _no_balance() -> bool:
    return close(effective_number(COUNTS, beta=0.0), torch.ones(len(COUNTS), dtype=torch.float64), 0.0)


@CHECKS.add("class-balanced", "beta towards 1 gives the inverse frequency")
def _full_balance() -> bool:
    expected_C = inverse_frequency(COUNTS, gamma=1.0, scale="mean")
    return close(effective_number(COUNTS, beta=1 - 1e-10), expected_C, 1e-6)


@CHECKS.add("class-balanced", "weights sum to the number of classes, at a million images too")
def _sum_of_weights() -> bool:
    counts = (10**6, 10**5, 10, 1)
    total = effective_number(counts, beta=0.9999).sum()
    return close(total, torch.tensor(4.0, dtype=torch.float64))


@CHECKS.add("class-balanced", "a class without images is refused")
def _empty_class() -> bool:
    try:
        effective_number((3, 0), beta=0.9999)
    except ValueError:
        return True
    return False


@CHECKS.add("LDAM", "no margin at scale 1 is cross-entropy of cosines")
def _no_margin() -> bool:
    return is_cross_entropy(LDAM(COUNTS, max_margin=0.0, scale=1.0))


@CHECKS.add("LDAM", "margins run from 0.158 to 0.5 at an imbalance factor of 100")
def _margins() -> bool:
    margins_C = LDAM(COUNTS).margins_C.double()
    ends = margins_C[[0, -1]]
    return rises(margins_C) and close(ends, torch.tensor([0.158, 0.5], dtype=torch.float64), 2e-4)


@CHECKS.add("LDAM", "it is cross-entropy of scale * (cosine - margin of the label)")
def _ldam_definition() -> bool:
    cosines_BC, labels_B = batch()
    with in_float64():
        loss = LDAM(COUNTS, scale=30.0)
    margins_BC = functional.one_hot(labels_B, len(COUNTS)) * loss.margins_C
    expected_B = cross_entropy(30 * (cosines_BC - margins_BC), labels_B)
    return close(loss(30 * cosines_BC, labels_B), expected_B)


@CHECKS.add("equalization", "drop = 0 is cross-entropy")
def _nothing_dropped() -> bool:
    return is_cross_entropy(Equalization(COUNTS, drop=0.0))


@CHECKS.add("equalization", "rare_below = 0 is cross-entropy")
def _nothing_rare() -> bool:
    return is_cross_entropy(Equalization(COUNTS, drop=0.9, rare_below=0.0))


@CHECKS.add("equalization", "evaluation is cross-entropy")
def _evaluated() -> bool:
    return is_cross_entropy(Equalization(COUNTS).eval())


@CHECKS.add("equalization", "drop = 1 is cross-entropy among the label and the frequent classes")
def _all_dropped() -> bool:
    logits_BC, labels_B = batch()
    rare_C = torch.tensor(COUNTS) / sum(COUNTS) < 0.5 / len(COUNTS)
    kept_BC = (~rare_C) | functional.one_hot(labels_B, len(COUNTS)).bool()
    expected_B = cross_entropy(logits_BC.masked_fill(~kept_BC, -torch.inf), labels_B)
    return bool(rare_C.any()) and close(Equalization(COUNTS, drop=1.0)(logits_BC, labels_B), expected_B)


@CHECKS.add("equalization", "one seed, one mask")
def _seeded_mask() -> bool:
    found = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found.append(Equalization(COUNTS, drop=0.5)(*batch()))
    return bool(found[0].equal(found[1])) and not found[0].equal(found[2])


@CHECKS.add("label-aware smoothing", "head = tail is torch's label smoothing")
def _even_smoothing() -> bool:
    logits_BC, labels_B = batch()
    with in_float64():
        found_B = LabelAwareSmoothing(COUNTS, head=0.2, tail=0.2)(logits_BC, labels_B)
    expected_B = functional.cross_entropy(logits_BC, labels_B, reduction="none", label_smoothing=0.2)
    return close(found_B, expected_B)


@CHECKS.add("label-aware smoothing", "it runs from tail for the rarest to head for the most frequent")
def _smoothing_ends() -> bool:
    with in_float64():
        smoothing_C = LabelAwareSmoothing(COUNTS, head=0.4, tail=0.1).smoothing_C.flip(0)
    ends = torch.tensor([0.1, 0.4], dtype=torch.float64)
    return rises(smoothing_C) and close(smoothing_C[[0, -1]], ends)


@CHECKS.add(
    "LDAM", "a cosine head's logits are its scale times the cosines, so that the scale is in what is exported"
)
def _scaled_cosines() -> bool:
    generator = torch.Generator().manual_seed(0)
    embedding_BD = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    with in_float64():
        head = CosineHead(4, len(COUNTS), 30.0, learn_scale=False)
    cosines_BC = functional.cosine_similarity(embedding_BD[:, None], head.weight[None], dim=2)
    return close(head(embedding_BD), 30 * cosines_BC) and "log_scale" in head.state_dict()


@CHECKS.add("DRW", "weights are exactly ones at epoch 159 of 200 and class-balanced at 160")
def _deferred() -> bool:
    config = make_recipe("baseline").with_(weights=EffectiveNumber(after=0.8), optimisation={"epochs": 200})
    objective = make_objective(config, COUNTS)
    objective.epoch = 159
    before_C = objective.weights()
    objective.epoch = 160
    after_C = effective_number(COUNTS, beta=0.9999).float()
    return bool(before_C.equal(torch.ones(len(COUNTS)))) and bool(objective.weights().equal(after_C))


@CHECKS.add(
    "DRW",
    "the epoch alone says the weights: resumed behind the switch, or at twice its epoch, they are the same",
)
def _resumed() -> bool:
    config = make_recipe("drw").with_(weights=EffectiveNumber(after=0.4), optimisation={"epochs": 500})
    through, resumed = make_objective(config, COUNTS), make_objective(config, COUNTS)
    for epoch in range(500):
        through.epoch = epoch
        through.weights()
    resumed.load_state_dict(through.state_dict())
    balanced_C = effective_number(COUNTS, beta=0.9999).float()

    def is_right(epoch: int) -> bool:
        resumed.epoch = epoch
        return bool(resumed.weights().equal(balanced_C if epoch >= 200 else torch.ones(len(COUNTS))))

    return all(is_right(epoch) for epoch in (0, 199, 200, 201, 399, 400, 401, 499))


@CHECKS.add("DRW", "it comes in by the last epoch, however few there are")
def _in_time() -> bool:
    def last_weights(epochs: int) -> Tensor:
        objective = make_objective(make_recipe("drw").with_(optimisation={"epochs": epochs}), COUNTS)
        objective.epoch = epochs - 1
        return objective.weights()

    return all(not last_weights(epochs).equal(torch.ones(len(COUNTS))) for epochs in range(1, 12))
