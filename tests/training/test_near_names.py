"""A name that does not exist is answered with the ones that were probably meant, before all others."""

import pytest

from training.backbones import check_backbone
from training.overrides import apply_overrides
from training.recipes import make_recipe


def refusal_of(*words: str) -> str:
    with pytest.raises(ValueError, match="unknown") as refused:
        apply_overrides(make_recipe("crt"), list(words))
    return str(refused.value)


def test_a_key_without_its_part_is_found_in_the_parts() -> None:
    found = refusal_of("epoch=3")
    assert found.startswith("unknown key 'epoch': choose from stage.epochs, optimisation.epochs, ")


def test_a_misspelt_key_of_a_part_comes_before_the_others_of_it() -> None:
    found = refusal_of("optimisation.epoch=3")
    assert found.startswith("unknown key 'optimisation.epoch': choose from epochs, backbone_lr_factor, ")
    assert found.count("epochs") == 2  # warm-up has some too


def test_a_misspelt_part_comes_before_the_others() -> None:
    assert "'optimization' is not one of optimisation, " in refusal_of("optimization.epochs=3")


def test_a_misspelt_method_comes_before_the_others() -> None:
    assert refusal_of("loss.name=focl") == (
        "unknown loss.name 'focl': choose from focal, cross_entropy, logit_adjusted, ldam, equalization, "
        "label_aware_smoothing"
    )


def test_a_misspelt_recipe_comes_before_the_others() -> None:
    with pytest.raises(
        ValueError, match="'logit_ajusted'; choose from logit_adjusted, logit_adjusted_post_hoc, "
    ):
        make_recipe("logit_ajusted")


def test_a_misspelt_backbone_is_answered_with_near_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown backbone 'rensnet18'; near names: .*\bresnet18\b"):
        check_backbone("rensnet18")
