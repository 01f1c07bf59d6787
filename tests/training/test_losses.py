"""Losses beyond the identities of ``training.verify``: what they refuse, and how a configuration names them."""

import pytest
import torch

from training.choices import Focal
from training.choices import LogitAdjusted as LogitAdjustedChoice
from training.config import RunConfig
from training.losses import Equalization, LogitAdjusted, log_prior
from training.objective import make_objective
from training.overrides import apply_overrides
from training.recipes import RECIPES, make_recipe

COUNTS = (90, 30, 9, 3, 1)


def test_a_rare_class_must_win_by_more_than_a_frequent_one() -> None:
    loss = LogitAdjusted(COUNTS, tau=1.0)
    undecided = torch.zeros(1, len(COUNTS))
    frequent, rare = (float(loss(undecided, torch.tensor([label]))) for label in (0, len(COUNTS) - 1))
    assert rare > frequent


def test_a_prior_sums_to_one_and_a_class_without_images_is_refused() -> None:
    assert float(log_prior(COUNTS).exp().sum()) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least one training image"):
        log_prior((3, 0))


def test_the_recipes_differ_in_their_loss_alone() -> None:
    baseline, adjusted = make_recipe("baseline"), make_recipe("logit_adjusted")
    assert baseline.with_(recipe="logit_adjusted", loss=adjusted.loss) == adjusted


def test_processes_leave_out_what_one_would_of_the_whole_batch() -> None:
    """Seeded alike, they would otherwise leave out the same classes of their shares."""
    logits, labels = torch.randn(12, len(COUNTS)), torch.arange(12) % len(COUNTS)

    def losses(rank: int, of: int) -> torch.Tensor:
        torch.manual_seed(0)
        loss = Equalization(COUNTS, drop=0.5)
        loss.rank, loss.of = rank, of
        found: torch.Tensor = loss(logits[rank::of], labels[rank::of])
        return found

    for rank in range(3):
        assert losses(rank, 3).equal(losses(0, 1)[rank::3])


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_named_after_its_function_and_gives_an_objective(name: str) -> None:
    config = make_recipe(name)
    assert config.recipe == name
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    objective = make_objective(config, COUNTS)
    objective.epoch = config.optimisation.epochs - 1
    experts = config.experts.num
    logits = torch.zeros(5, 5) if experts == 1 else torch.zeros(experts, 5, 5)
    losses = objective(logits, torch.arange(5))
    assert losses.shape == (5,)
    assert bool((losses > 0).all())


def test_another_loss_brings_its_own_keys_and_keeps_those_that_it_shares() -> None:
    focal = apply_overrides(make_recipe("baseline"), ["loss.name=focal", "loss.gamma=1.5"])
    assert focal.loss == Focal(gamma=1.5)
    adjusted = apply_overrides(make_recipe("baseline"), ["loss.name=logit_adjusted"])
    assert adjusted.loss == LogitAdjustedChoice(label_smoothing=0.1)
    with pytest.raises(ValueError, match=r"unknown loss\.name 'fokal': choose from focal, cross_entropy"):
        apply_overrides(make_recipe("baseline"), ["loss.name=fokal"])
    with pytest.raises(ValueError, match=r"unknown key 'loss\.gamma'"):
        apply_overrides(make_recipe("baseline"), ["loss.gamma=1.5"])


def test_margins_in_cosines_are_refused_without_a_cosine_head_of_fixed_scale() -> None:
    with pytest.raises(ValueError, match=r"model\.head=cosine model\.learn_scale=false"):
        apply_overrides(make_recipe("baseline"), ["loss.name=ldam"])
    with pytest.raises(ValueError, match="margins in cosines"):
        apply_overrides(make_recipe("ldam"), ["model.learn_scale=true"])


def test_margins_grow_with_the_scale_of_the_head() -> None:
    label = torch.tensor([4])
    small, large = (
        make_objective(make_recipe("ldam").with_(model={"cosine_scale": scale}), COUNTS)(
            torch.zeros(1, 5), label
        )
        for scale in (1.0, 30.0)
    )
    assert float(large) > float(small)


def test_an_unknown_recipe_or_key_is_refused_with_the_ones_that_exist() -> None:
    with pytest.raises(ValueError, match="choose from debug, baseline"):
        make_recipe("best")
    with pytest.raises(ValueError, match="choose from epochs, backbone_lr_factor, batch_size"):
        apply_overrides(make_recipe("baseline"), ["optimisation.epoch=3"])
