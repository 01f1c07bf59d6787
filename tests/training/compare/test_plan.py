"""Which runs a comparison is made of, which of them share epochs, and what a recipe is without each factor."""

import pytest

from training.compare.ablation import ablations
from training.compare.plan import (
    Asked,
    Backbone,
    differing_keys,
    epochs_key,
    make_plan,
    parse_backbones,
    parse_recipes,
    run_key,
)
from training.overrides import apply_overrides
from training.recipes import RECIPES, make_recipe

OWN = (Backbone(),)


def keys_of(
    text: str, *, num_seeds: int = 1, backbones: str = "", overrides: tuple[str, ...] = ()
) -> list[str]:
    plan = make_plan(parse_recipes(text, num_seeds=num_seeds), parse_backbones(backbones), overrides)
    return [run_key(config) for config in plan.configs]


def test_every_recipe_runs_on_every_backbone_before_the_next_seed_begins() -> None:
    assert keys_of("focal,crt", num_seeds=2, backbones="resnet18,resnet34") == [
        f"{recipe}-{backbone}-{seed}"
        for seed in (0, 1)
        for backbone in ("resnet18", "resnet34")
        for recipe in ("focal", "crt")
    ]


def test_a_recipe_may_have_a_number_of_seeds_of_its_own() -> None:
    assert keys_of("focal,debug:3", num_seeds=1) == [
        "focal-mobilenetv2_100-0",
        "debug-test_efficientnet-0",
        "debug-test_efficientnet-1",
        "debug-test_efficientnet-2",
    ]


def test_a_number_of_seeds_that_is_none_is_refused() -> None:
    for word in ("focal:", "focal:0", "focal:many"):
        with pytest.raises(ValueError, match="number of seeds, such as focal:3"):
            parse_recipes(word, num_seeds=1)


def test_overrides_and_a_backbones_own_weights_reach_every_run() -> None:
    plan = make_plan(
        parse_recipes("focal,crt", num_seeds=1),
        parse_backbones("resnet18=timm,resnet34"),
        ["optimisation.epochs=7", "model.pretrained=none"],
    )
    assert {config.optimisation.epochs for config in plan.configs} == {7}
    assert [config.model.pretrained for config in plan.configs] == ["timm", "timm", "none", "none"]


def test_a_run_that_an_override_does_not_fit_is_refused_and_the_others_are_made() -> None:
    plan = make_plan(parse_recipes("focal,crt", num_seeds=1), OWN, ["loss.gamma=1.5"])
    assert [config.recipe for config in plan.configs] == ["focal"]
    assert list(plan.refused) == ["crt-mobilenetv2_100-0"]
    assert "unknown key 'loss.gamma'" in plan.refused["crt-mobilenetv2_100-0"]
    plan = make_plan(parse_recipes("focal,balanced_softmax", num_seeds=1), OWN, ["sampling.name=square_root"])
    assert plan.refused == {
        "balanced_softmax-mobilenetv2_100-0": "the class prior is corrected 2 times, by sampling=square_root and "
        "loss=logit_adjusted; each is meant to be the only one, and together they favour the tail too much: take one "
        "away, or say allow_double_correction=true"
    }


def test_an_override_that_fits_no_run_is_an_error_of_the_command() -> None:
    with pytest.raises(ValueError, match=r"unknown key 'epoch': choose from optimisation\.epochs"):
        make_plan(parse_recipes("focal,crt", num_seeds=1), OWN, ["epoch=3"])


@pytest.mark.parametrize("first", ["mobilenetv2_100=a.npz", "mobilenetv2_100"])
def test_a_backbone_from_two_weights_is_two_comparisons_and_never_silently_one(first: str) -> None:
    with pytest.raises(
        ValueError, match=rf"--backbones {first} and mobilenetv2_100=b\.npz: .* an --out of its own"
    ):
        parse_backbones(f"{first},resnet18,mobilenetv2_100=b.npz")
    assert parse_backbones("resnet18=timm,resnet18=timm") == (Backbone("resnet18", "timm"),)


def test_two_different_runs_are_never_one_by_their_name() -> None:
    own_and_other = (Backbone(), Backbone("mobilenetv2_100", "b.npz"))
    with pytest.raises(
        ValueError, match=r"focal-mobilenetv2_100-0 would be two runs, with another model\.pretrained"
    ):
        make_plan(parse_recipes("focal", num_seeds=1), own_and_other, [])


@pytest.mark.parametrize("word", ["seed=4", "recipe=mine"])
def test_what_the_comparison_varies_is_not_overridden(word: str) -> None:
    with pytest.raises(ValueError, match="--recipes and --seeds"):
        make_plan(parse_recipes("focal", num_seeds=1), OWN, [word])


def test_runs_that_differ_only_after_the_epochs_share_them() -> None:
    same = ("baseline", "crt", "lws", "tau_norm", "logit_adjusted_post_hoc")
    assert len({epochs_key(make_recipe(name)) for name in same}) == 1


def test_all_other_recipes_have_epochs_of_their_own() -> None:
    by_epochs: dict[str, list[str]] = {}
    for name in RECIPES:
        by_epochs.setdefault(epochs_key(make_recipe(name)), []).append(name)
    shared = sorted(sorted(names) for names in by_epochs.values() if len(names) > 1)
    assert shared == [
        ["baseline", "crt", "logit_adjusted_post_hoc", "lws", "tau_norm"],
        ["mislas", "mixup"],
    ]


def test_epochs_differ_by_head_seed_and_length_and_not_by_loading_processes() -> None:
    config = make_recipe("baseline")
    assert epochs_key(config.with_(workers=3)) == epochs_key(config)
    for changed in (
        config.with_(seed=1),
        config.with_(model={"head": "cosine"}),
        config.with_(optimisation={"epochs": 3}),
    ):
        assert epochs_key(changed) != epochs_key(config)


def test_a_share_of_pretrained_weights_comes_after_the_epochs() -> None:
    config = make_recipe("transfer_long_tail")
    assert epochs_key(config.with_(model={"pretrained_share": 0.2})) == epochs_key(config)


def test_what_two_runs_differ_in_is_named_by_its_keys() -> None:
    config = make_recipe("focal")
    other = apply_overrides(config, ["optimisation.epochs=3", "loss.gamma=1", "workers=2"])
    assert differing_keys(config, other) == ("loss.gamma", "optimisation.epochs")
    assert differing_keys(config, make_recipe("crt"))[:2] == ("recipe", "loss.name")


def test_a_recipe_loses_one_factor_at_a_time_and_only_those_that_it_has() -> None:
    config = make_recipe("transfer_long_tail")
    found = {one.recipe.removeprefix("transfer_long_tail-without-"): one for one in ablations(config)}
    assert set(found) == {
        "loss",
        "stage",
        "post-hoc",
        "label-smoothing",
        "mixup",
        "average",
        "frozen-stages",
        "pretrained-share",
        "train-size",
        "flip",
        "rotation",
        "colour",
    }
    assert differing_keys(found["mixup"], config) == ("recipe", "optimisation.mixup_alpha")
    assert differing_keys(found["loss"], config) == ("recipe", "loss.name", "loss.tau")
    assert differing_keys(found["colour"], config) == (
        "recipe",
        "augment.brightness",
        "augment.contrast",
        "augment.saturation",
    )
    assert found["stage"].stage.name == "none"
    assert found["post-hoc"].post_hoc.tau == 0


def test_a_training_size_that_is_the_size_anyway_is_no_factor() -> None:
    config = make_recipe("transfer_long_tail").with_(size_px=128, train_size_px=128, canvas_px=148)
    assert "transfer_long_tail-without-train-size" not in {one.recipe for one in ablations(config)}


def test_a_factor_without_which_the_run_is_refused_stays() -> None:
    names = [one.recipe for one in ablations(make_recipe("ldam_drw"))]
    assert "ldam_drw-without-weights" in names
    assert "ldam_drw-without-loss" in names
    assert "ldam_drw-without-cosine-head" not in names


def test_experts_and_sampling_are_factors_as_wholes() -> None:
    without = {one.recipe: one for one in ablations(make_recipe("sade"))}["sade-without-experts"]
    assert without.experts.num == 1
    assert without.experts.priors == "same"
    without = {one.recipe: one for one in ablations(make_recipe("ldam_drs"))}["ldam_drs-without-sampling"]
    assert without.sampling.name == "instance"
    assert without.sampling.after == 0


def test_ablations_run_beside_the_recipe_itself_which_is_made_once() -> None:
    plan = make_plan((Asked("crt", 1), Asked("crt", 1, ablate=True)), OWN, [])
    names = [config.recipe for config in plan.configs]
    assert names[0] == "crt"
    assert len(set(names)) == len(names)
    assert "crt-without-stage" in names
