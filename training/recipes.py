"""Named complete configurations. A recipe is a function that returns data."""

from collections.abc import Callable

from training.config import Augment, CrossEntropy, LogitAdjusted, Model, Optimisation, RunConfig


def debug() -> RunConfig:
    """Two epochs of a tiny network at 32 px: proves that a data set trains, in seconds."""
    return RunConfig(
        recipe="debug",
        size_px=32,
        workers=0,
        model=Model(backbone="test_efficientnet"),
        optimisation=Optimisation(epochs=2, batch_size=8, ema_decay=0.5),
    )


def baseline() -> RunConfig:
    """Cross-entropy with label smoothing and mixup: good on average, and blind to the tail."""
    return RunConfig(
        recipe="baseline",
        loss=CrossEntropy(label_smoothing=0.1),
        augment=Augment(),
        optimisation=Optimisation(),
    )


def logit_adjusted() -> RunConfig:
    """Logit-adjusted loss (arXiv:2007.07314), tau = 1: the first thing to try on a long tail."""
    return baseline().with_(recipe="logit_adjusted", loss=LogitAdjusted(tau=1.0, label_smoothing=0.1))


def transfer() -> RunConfig:
    """Cross-entropy for a few photos a species: the upper half of a pretrained network learns, at 320 px, and half of
    its head is a discriminant.
    """
    return baseline().with_(
        recipe="transfer",
        size_px=320,
        train_size_px=288,
        canvas_px=320,
        model={"frozen_stages": 4, "batch_norm": "fold"},
        optimisation={"epochs": 16, "lr": 2e-3},
        finish={"discriminant_share": 0.5},
    )


def transfer_long_tail() -> RunConfig:
    """``transfer`` for a tail of one or two photos a species: logit-adjusted loss, more epochs, half of the weights
    as they were pretrained, and what remains of the classes' frequencies taken out by validation.
    """
    return transfer().with_(
        recipe="transfer_long_tail",
        loss=LogitAdjusted(tau=1.0, label_smoothing=0.1),
        optimisation={"epochs": 24},
        finish={"pretrained_share": 0.5, "choose_tau": True},
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    recipe.__name__: recipe for recipe in (debug, baseline, logit_adjusted, transfer, transfer_long_tail)
}


def make_recipe(name: str) -> RunConfig:
    """A recipe by name. Raises ValueError that lists the names."""
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}; choose from {', '.join(RECIPES)}")
    return RECIPES[name]()
