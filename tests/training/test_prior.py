"""The prior is corrected once, and a card says which prior the logits still carry."""

import pytest

from training.choices import EffectiveNumber, InverseFrequency, LogitAdjusted, PostHoc
from training.config import RunConfig
from training.overrides import apply_overrides
from training.prior import prior_in_logits
from training.recipes import make_recipe

COUNTS = (100, 50, 20, 5, 1)


@pytest.mark.parametrize(
    ("recipe", "prior"),
    [
        ("baseline", "training"),
        ("focal", "training"),
        ("ldam", "training"),
        ("label_aware_smoothing", "training"),
        ("logit_adjusted", "none"),
        ("balanced_softmax", "none"),
        ("weighted_softmax", "none"),
        ("class_balanced", "none"),
        ("ldam_drw", "none"),
        ("equalization", "partial"),
        ("class_balanced_sampling", "none"),
        ("progressive_sampling", "none"),
        ("deferred_resampling", "none"),
        ("square_root_sampling", "partial"),
        ("over_sampling", "partial"),
        ("logit_adjusted_post_hoc", "none"),
        ("crt", "none"),
        ("lws", "partial"),
        ("mislas", "none"),
        ("ncm", "none"),
        ("tau_norm", "partial"),
        ("ride", "none"),
        ("sade", "partial"),
        ("mixup", "training"),
        ("remix", "partial"),
        ("cmo", "partial"),
        ("supcon", "training"),
        ("supcon_balanced", "none"),
        ("paco", "partial"),
        ("distilled", "none"),
    ],
)
def test_a_recipe_says_which_prior_its_logits_keep(recipe: str, prior: str) -> None:
    assert prior_in_logits(make_recipe(recipe), COUNTS) == prior


def test_half_a_correction_leaves_a_part() -> None:
    baseline = make_recipe("baseline")
    assert prior_in_logits(baseline.with_(loss=LogitAdjusted(tau=0.5)), COUNTS) == "partial"
    assert prior_in_logits(baseline.with_(weights=InverseFrequency(gamma=0.5)), COUNTS) == "partial"
    assert prior_in_logits(baseline.with_(weights=EffectiveNumber(beta=0.9)), COUNTS) == "partial"


def test_two_halves_that_are_meant_leave_none() -> None:
    both = make_recipe("baseline").with_(
        loss=LogitAdjusted(tau=0.5), weights=InverseFrequency(gamma=0.5), allow_double_correction=True
    )
    assert prior_in_logits(both, COUNTS) == "none"


def test_equal_counts_leave_nothing_to_correct() -> None:
    assert prior_in_logits(make_recipe("baseline"), (7, 7, 7)) == "none"


def test_a_prior_that_is_corrected_twice_is_refused_with_both_names_and_the_way_out() -> None:
    words = ["weights.name=effective_number"]
    with pytest.raises(ValueError, match="by loss=logit_adjusted and weights=effective_number") as refused:
        apply_overrides(make_recipe("logit_adjusted"), words)
    assert "allow_double_correction=true" in str(refused.value)
    meant = apply_overrides(make_recipe("logit_adjusted"), [*words, "allow_double_correction=true"])
    assert meant.corrections == ("loss=logit_adjusted", "weights=effective_number")


def test_a_stage_on_balanced_draws_is_a_correction_unless_its_head_begins_anew() -> None:
    with pytest.raises(ValueError, match="by loss=logit_adjusted and stage=lws"):
        apply_overrides(make_recipe("logit_adjusted"), ["stage.name=lws"])
    assert apply_overrides(make_recipe("logit_adjusted"), ["stage.name=crt"]).corrections == ("stage=crt",)


def test_a_prior_taken_after_training_counts_as_one_of_the_corrections() -> None:
    with pytest.raises(ValueError, match=r"by loss=logit_adjusted and post_hoc\.tau=1\.0"):
        apply_overrides(make_recipe("logit_adjusted"), ["post_hoc.tau=1"])


def test_balanced_batches_and_an_adjusted_loss_are_refused_together() -> None:
    with pytest.raises(ValueError, match="by sampling=class_balanced and loss=logit_adjusted"):
        apply_overrides(make_recipe("balanced_softmax"), ["sampling.name=class_balanced"])


@pytest.mark.parametrize(
    "words",
    [["loss.tau=0", "weights.name=effective_number"], ["weights.name=effective_number", "weights.beta=0"]],
)
def test_a_correction_that_corrects_nothing_does_not_count(words: list[str]) -> None:
    assert isinstance(apply_overrides(make_recipe("logit_adjusted"), words), RunConfig)


def test_half_a_discriminant_of_a_head_with_a_prior_leaves_nobody_knows_what() -> None:
    with pytest.raises(ValueError, match=r"by stage=discriminant and post_hoc\.tau=1\.0"):
        apply_overrides(make_recipe("transfer"), ["post_hoc.tau=1"])
    words = ["post_hoc.tau=1", "allow_double_correction=true"]
    assert prior_in_logits(apply_overrides(make_recipe("transfer"), words), COUNTS) == "partial"
    assert prior_in_logits(make_recipe("transfer"), COUNTS) == "partial"
    assert prior_in_logits(make_recipe("transfer").with_(post_hoc=PostHoc(tau=None)), COUNTS) == "none"


def test_a_discriminant_alone_leaves_none_and_none_of_it_leaves_what_was_learnt() -> None:
    alone, unused = (
        apply_overrides(make_recipe("transfer"), [f"stage.share={share}"]) for share in (1.0, 0.0)
    )
    assert (prior_in_logits(alone, COUNTS), prior_in_logits(unused, COUNTS)) == ("none", "training")


@pytest.mark.parametrize("recipe", ["cmo", "remix"])
def test_mixing_for_the_tail_is_a_correction(recipe: str) -> None:
    assert make_recipe(recipe).corrections == (f"mixing={recipe}",)
    with pytest.raises(ValueError, match=f"by mixing={recipe} and loss=logit_adjusted"):
        apply_overrides(make_recipe(recipe), ["loss.name=logit_adjusted"])
    assert apply_overrides(make_recipe(recipe), ["stage.name=crt"]).corrections == ("stage=crt",)
