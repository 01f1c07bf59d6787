"""What a recipe is without each of its factors: one configuration for each that it has. Values in, values out."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from training.choices import CrossEntropy
from training.config import Augment, RunConfig

_NO_COLOUR = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}

KEYS_OF_FACTORS: dict[str, dict[str, Any]] = {
    "label-smoothing": {"loss": {"label_smoothing": 0.0}},
    "mixup": {"optimisation": {"mixup_alpha": 0.0}},
    "cutmix": {"optimisation": {"cutmix_alpha": 0.0}},
    "remix": {"mixing": {"remix": False}},
    "cmo": {"mixing": {"cmo": 0.0}},
    "average": {"optimisation": {"ema_decay": 0.0}},
    "cosine-head": {"model": {"head": "linear"}},
    "dropout": {"model": {"dropout": 0.0}},
    "frozen-stages": {"model": {"frozen_stages": 0}},
    "folding": {"model": {"batch_norm": "learn"}},
    "pretrained-share": {"model": {"pretrained_share": 0.0}},
    "train-size": {"train_size_px": None},
    "flip": {"augment": {"flip": False}},
    "rotation": {"augment": {"rotate_deg": 0.0}},
    "colour": {"augment": _NO_COLOUR},
    "erasing": {"augment": {"erase": 0.0}},
    "policy": {"augment": {"policy": Augment().policy}},
}
"""Factors that are a key or two, and what these are in plain training with cross-entropy."""

_BY_KEYS = ("model", "loss", "augment", "mixing", "optimisation")


def ablations(config: RunConfig) -> tuple[RunConfig, ...]:
    """The run without each factor in turn, under the name ``RECIPE-without-FACTOR``.

    A factor is what differs from plain training with cross-entropy; one is left out where the run without it is
    refused, such as a loss of cosines without its cosine head. The backbone, its pretrained weights, sizes and the
    optimiser's rates are no factors: they say what is learnt with and for how long.
    """
    found = []
    for factor, changes in _removals(config):
        try:
            without = config.with_(**changes)
        except ValidationError:
            continue
        if without != config and not (factor == "train-size" and without.crop_size_px == config.crop_size_px):
            found.append(without.with_(recipe=f"{config.recipe}-without-{factor}"))
    return tuple(found)


def _removals(config: RunConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    smoothing = getattr(config.loss, "label_smoothing", 0.0)
    yield "loss", {"loss": CrossEntropy(label_smoothing=smoothing)}
    for name, field in RunConfig.model_fields.items():
        if isinstance(field.default, BaseModel) and name not in _BY_KEYS:
            yield name.replace("_", "-"), {name: field.default}
    for factor, changes in KEYS_OF_FACTORS.items():
        if factor != "label-smoothing" or smoothing:
            yield factor, changes
