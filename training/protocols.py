"""What a comparison holds fixed for every method: network, optimiser, schedule and augmentation of a benchmark."""

from collections.abc import Callable

from training.choices import CrossEntropy, LogitAdjusted
from training.config import RunConfig


def cifar(config: RunConfig) -> RunConfig:
    """ResNet-32 at 32 px, 200 epochs of SGD with steps at 160 and 180, shifts and mirrors (arXiv:1906.07413).

    Recipes lose what is meant for fine-tuning: a little mixup, label smoothing, averaged weights.
    Raises ValueError for a recipe that would be itself by name alone: one whose backbone does not learn, or that is a
    kind of views.
    """
    if config.model.frozen_stages == "all":
        raise ValueError(f"{config.recipe} learns a head on pretrained weights: --protocol cifar has none")
    small_mixup = 0 < config.optimisation.mixup_alpha < 1
    smoothed = isinstance(config.loss, CrossEntropy | LogitAdjusted)
    changes: dict[str, object] = {"loss": {"label_smoothing": 0.0}} if smoothed else {}
    return config.with_(
        **changes,
        size_px=32,
        train_size_px=None,
        canvas_px=None,
        precision="fp32",
        model={"backbone": "resnet32_cifar", "pretrained": "none", "frozen_stages": 0, "batch_norm": "learn"},
        augment={"view": "pad_crop"},
        optimisation={
            "epochs": 200,
            "batch_size": 128,
            "optimiser": "sgd",
            "lr": 0.1,
            "backbone_lr_factor": 1.0,
            "momentum": 0.9,
            "weight_decay": 2e-4,
            "decay_vectors": True,
            "warmup_epochs": 5,
            "decay": "step",
            "steps_at": (0.8, 0.9),
            "step_factor": 0.01,
            "mixup_alpha": 0.0 if small_mixup else config.optimisation.mixup_alpha,
            "ema_decay": 0.0,
            "clip_norm": 0.0,
        },
    )


PROTOCOLS: dict[str, Callable[[RunConfig], RunConfig]] = {"cifar": cifar}


def apply_protocol(config: RunConfig, name: str) -> RunConfig:
    """The configuration under a protocol; without a name as it is. Raises ValueError that lists the names."""
    if not name:
        return config
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name](config)
