"""Each identity of the logit-adjusted loss, as its papers state it."""

import pytest
import torch
from torch.nn import functional

from training.config import CrossEntropy, apply_overrides
from training.config import LogitAdjusted as LogitAdjustedConfig
from training.losses import LogitAdjusted, log_prior, make_loss, prior_in_logits
from training.recipes import make_recipe

COUNTS = (90, 30, 9, 3, 1)


def random_batch(seed: int = 0, classes: int = len(COUNTS)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(16, classes, dtype=torch.float64, generator=generator)
    return logits, torch.randint(classes, (16,), generator=generator)


def double(loss: LogitAdjusted) -> LogitAdjusted:
    return loss.double()


def test_tau_zero_is_cross_entropy() -> None:
    logits, labels = random_batch()
    found = double(LogitAdjusted(COUNTS, tau=0.0))(logits, labels)
    torch.testing.assert_close(found, functional.cross_entropy(logits, labels, reduction="none"))


def test_equal_counts_are_cross_entropy_whatever_tau_is() -> None:
    logits, labels = random_batch()
    found = double(LogitAdjusted((7,) * 5, tau=1.7))(logits, labels)
    torch.testing.assert_close(found, functional.cross_entropy(logits, labels, reduction="none"))


def test_tau_one_is_balanced_softmax() -> None:
    logits, labels = random_batch()
    counts = torch.tensor(COUNTS, dtype=torch.float64)
    weighted = counts * logits.exp()
    expected = -(weighted[torch.arange(16), labels] / weighted.sum(dim=1)).log()
    torch.testing.assert_close(
        double(LogitAdjusted(COUNTS, tau=1.0))(logits, labels), expected, rtol=1e-6, atol=1e-6
    )


def test_a_rare_class_must_win_by_more_than_a_frequent_one() -> None:
    loss = LogitAdjusted(COUNTS, tau=1.0)
    undecided = torch.zeros(1, len(COUNTS))
    frequent, rare = (float(loss(undecided, torch.tensor([label]))) for label in (0, len(COUNTS) - 1))
    assert rare > frequent


def test_the_gradient_is_the_one_that_differences_find() -> None:
    logits, labels = random_batch()
    loss = double(LogitAdjusted(COUNTS, tau=1.0, label_smoothing=0.1))
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), (logits.requires_grad_(),))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_extreme_logits_in_half_precision_give_a_finite_loss_and_gradient(dtype: torch.dtype) -> None:
    logits = torch.tensor([[1e3, -1e3, 0.0, 1e3, -1e3]], dtype=dtype, requires_grad=True)
    loss = LogitAdjusted(COUNTS, tau=1.0)(logits, torch.tensor([4]))
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert bool(loss.isfinite().all())
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_a_prior_sums_to_one_and_a_class_without_images_is_refused() -> None:
    assert float(log_prior(COUNTS).exp().sum()) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least one training image"):
        log_prior((3, 0))


def test_a_configuration_says_which_prior_its_logits_keep() -> None:
    assert prior_in_logits(CrossEntropy()) == "training"
    assert prior_in_logits(LogitAdjustedConfig(tau=1.0)) == "none"
    assert prior_in_logits(LogitAdjustedConfig(tau=0.5)) == "training"


def test_the_recipes_differ_in_their_loss_alone() -> None:
    baseline, adjusted = make_recipe("baseline"), make_recipe("logit_adjusted")
    assert baseline.with_(recipe="logit_adjusted", loss=adjusted.loss) == adjusted
    assert make_loss(baseline.loss, COUNTS).tau == 0.0
    assert make_loss(adjusted.loss, COUNTS).tau == 1.0


def test_an_unknown_recipe_or_key_is_refused_with_the_ones_that_exist() -> None:
    with pytest.raises(ValueError, match="choose from debug, baseline"):
        make_recipe("best")
    with pytest.raises(ValueError, match="choose from backbone_lr_factor, batch_size"):
        apply_overrides(make_recipe("baseline"), ["optimisation.epoch=3"])
