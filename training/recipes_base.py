"""Recipes that others start from. A recipe is a function that returns data."""

from training.choices import CrossEntropy, LogitAdjusted
from training.config import Augment, Model, Optimisation, RunConfig


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


def cross_entropy() -> RunConfig:
    """Cross-entropy without label smoothing: what the other losses are compared with."""
    return baseline().with_(recipe="cross_entropy", loss=CrossEntropy())


def balanced_softmax() -> RunConfig:
    """Balanced softmax (arXiv:2007.10740): the logit-adjusted loss at tau = 1, without label smoothing."""
    return baseline().with_(recipe="balanced_softmax", loss=LogitAdjusted(tau=1.0))
