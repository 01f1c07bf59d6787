"""What a training run is, as data. Frozen, validated, and nothing else: no files, seeds or downloads happen here."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CrossEntropy(_Frozen):
    """Softmax cross-entropy; ``label_smoothing`` as torch defines it."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Fraction = 0.0


class LogitAdjusted(_Frozen):
    """Cross-entropy on logits shifted by ``tau * log(prior)`` (arXiv:2007.07314); tau = 1 is balanced softmax."""

    name: Literal["logit_adjusted"] = "logit_adjusted"
    tau: float = 1.0
    label_smoothing: Fraction = 0.0


Loss = Annotated[CrossEntropy | LogitAdjusted, Field(discriminator="name")]


class Augment(_Frozen):
    """Random views of a training photo. Flips and hue can change what a species is, so both are settings."""

    scale_min: Annotated[float, Field(gt=0, le=1)] = 0.5
    ratio: Annotated[float, Field(ge=1)] = 4 / 3
    flip: bool = True
    rotate_deg: Annotated[float, Field(ge=0, le=180)] = 15.0
    brightness: Fraction = 0.3
    contrast: Fraction = 0.3
    saturation: Fraction = 0.2
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    erase: Fraction = 0.0


class Model(_Frozen):
    """Backbone by timm's name, its weights, and how much of it learns.

    ``pretrained``: ``none``, ``timm`` (timm's hub) or a file: ``.npz`` as in the dequantised MobileNetV2 weights,
    or ``.safetensors`` in timm's names. ``frozen_stages`` stages, counted from the stem, keep their weights and
    statistics. ``batch_norm``: ``learn``, or ``fold`` it into the convolutions of pretrained weights, with the
    statistics that they came with.
    """

    backbone: str = "mobilenetv2_100"
    pretrained: str = "none"
    head: Literal["linear", "cosine"] = "linear"
    dropout: Fraction = 0.0
    frozen_stages: Annotated[int, Field(ge=0)] = 0
    batch_norm: Literal["learn", "fold"] = "learn"


class Optimisation(_Frozen):
    """AdamW with warm-up and cosine decay. Rates are for the head; the backbone's is ``backbone_lr_factor`` of it."""

    epochs: Annotated[int, Field(gt=0)] = 24
    batch_size: Annotated[int, Field(gt=1)] = 32
    lr: Positive = 5e-3
    backbone_lr_factor: Positive = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    final_lr_factor: Fraction = 0.01
    mixup_alpha: Annotated[float, Field(ge=0)] = 0.2
    cutmix_alpha: Annotated[float, Field(ge=0)] = 0.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    clip_norm: Annotated[float, Field(ge=0)] = 1.0


class Finish(_Frozen):
    """What is done to a network when its training has ended, in this order; nothing by default.

    ``pretrained_share`` of every backbone weight is what it was before training (WiSE-FT, Wortsman et al., 2022).
    ``discriminant_share`` of the head is a linear discriminant of the training photos' embeddings.
    ``choose_tau`` adds ``-tau * log(prior)`` to the logits, tau from a grid by macro recall on validation photos:
    what the loss's own correction left of the classes' frequencies.
    """

    pretrained_share: Fraction = 0.0
    discriminant_share: Fraction = 0.0
    choose_tau: bool = False


class RunConfig(_Frozen):
    """A complete run. ``precision``: ``auto`` is bf16 where the hardware computes in it. ``train_size_px`` may be
    under ``size_px``: random crops make things look larger in training than they are in evaluation, and a larger
    evaluation size undoes that (Touvron et al., 2019).
    """

    recipe: str
    seed: int = 0
    size_px: Annotated[int, Field(ge=16, le=1024)] = 224
    train_size_px: Annotated[int | None, Field(ge=16, le=1024)] = None
    canvas_px: Annotated[int | None, Field(ge=16, le=1024)] = None
    fit: Literal["crop", "pad"] = "crop"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: Annotated[int, Field(ge=0)] = 1
    threads: Annotated[int, Field(ge=0)] = 0
    model: Model = Model()
    loss: Loss = CrossEntropy()
    augment: Augment = Augment()
    optimisation: Optimisation = Optimisation()
    finish: Finish = Finish()

    @model_validator(mode="after")
    def _agrees(self) -> "RunConfig":
        if self.cache_side_px < self.size_px:
            raise ValueError(f"canvas_px {self.cache_side_px} must be at least size_px {self.size_px}")
        if (self.finish.discriminant_share or self.finish.choose_tau) and self.model.head != "linear":
            raise ValueError("finish changes a linear map: use model.head=linear")
        if self.finish.pretrained_share and self.model.batch_norm != "fold":
            raise ValueError(
                "finish.pretrained_share mixes weights, not statistics: use model.batch_norm=fold"
            )
        return self

    @property
    def crop_size_px(self) -> int:
        """Side of the random crops that training sees."""
        return self.train_size_px or self.size_px

    @property
    def cache_side_px(self) -> int:
        """Short side of the decoded photos that crops are taken from."""
        return self.canvas_px or max(self.size_px, round(self.crop_size_px * 1.15))

    def with_(self, **changes: Any) -> "RunConfig":
        """A validated copy with top-level fields replaced; for a nested part, give the new part or its changes."""
        data = self.model_dump()
        for name, change in changes.items():
            nested = data.get(name)
            value = change.model_dump() if isinstance(change, BaseModel) else change
            merge = isinstance(nested, dict) and isinstance(value, dict) and "name" not in value
            data[name] = {**(nested or {}), **value} if merge else value
        return RunConfig.model_validate(data)


def apply_overrides(config: RunConfig, overrides: list[str]) -> RunConfig:
    """Apply ``key=value`` words from a command line, nested keys with dots (``optimisation.epochs=3``).

    Raises ValueError naming an unknown key and the ones that exist.
    """
    data = config.model_dump()
    for word in overrides:
        key, separator, text = word.partition("=")
        if not separator:
            raise ValueError(f"{word!r} is not key=value")
        _put(data, key, text)
    return RunConfig.model_validate(data)


def _put(data: dict[str, Any], key: str, text: str) -> None:
    *parents, last = key.split(".")
    here = data
    for parent in parents:
        inner = here.get(parent)
        if not isinstance(inner, dict):
            raise ValueError(f"unknown key {key!r}: {parent!r} is not one of {', '.join(sorted(here))}")
        here = inner
    if last not in here and last != "name":
        raise ValueError(f"unknown key {key!r}: choose from {', '.join(sorted(here))}")
    here[last] = None if text.lower() == "none" and last != "pretrained" else text


def read_config(path: Path) -> RunConfig:
    """The configuration that a run folder keeps. Raises ValueError naming the file."""
    try:
        return RunConfig.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a run's configuration: {error}") from error
