"""What a training run is, as data. Frozen, validated, and nothing else: no files, seeds or downloads happen here."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from training.auxiliary import Contrastive, Distillation, NoContrast
from training.choices import (
    Choice,
    ClassWeights,
    CrossEntropy,
    Discriminant,
    EqualWeights,
    Experts,
    Fraction,
    Frozen,
    LogitAdjusted,
    Loss,
    Mixing,
    NoStage,
    Positive,
    PostHoc,
    Sampling,
    Stage,
)
from training.refusals import sentence


def _split_words(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


FrozenStages = Annotated[int, Field(ge=0)] | Literal["all"]
Shares = Annotated[tuple[Fraction, ...], BeforeValidator(_split_words)]
"""Shares of something; on a command line with commas between."""


class Augment(Frozen):
    """Random views of a training photo. Flips and hue can change what a species is, so both are settings.

    ``view=pad_crop`` is the CIFAR protocol instead: photos that all have ``size_px``, shifted by up to an eighth of it
    over black, and mirrored; nothing else of this part then applies, and photos stay on the device.

    ``policy`` adds RandAugment (arXiv:1909.13719), ``policy_ops`` changes of strength ``policy_magnitude`` out of 31,
    or TrivialAugment (arXiv:2103.10158), one change of any strength.
    """

    view: Literal["resized_crop", "pad_crop"] = "resized_crop"
    scale_min: Annotated[float, Field(gt=0, le=1)] = 0.5
    ratio: Annotated[float, Field(ge=1)] = 4 / 3
    flip: bool = True
    rotate_deg: Annotated[float, Field(ge=0, le=180)] = 15.0
    brightness: Fraction = 0.3
    contrast: Fraction = 0.3
    saturation: Fraction = 0.2
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    erase: Fraction = 0.0
    policy: Literal["none", "randaugment", "trivialaugment"] = "none"
    policy_ops: Annotated[int, Field(ge=1)] = 2
    policy_magnitude: Annotated[int, Field(ge=0, le=30)] = 9

    @property
    def changes_finished_views(self) -> bool:
        """Whether torchvision has something to do with a view once it is made."""
        return self.policy != "none" or self.hue > 0 or self.erase > 0


class Model(Frozen):
    """Backbone by timm's name, its weights, and how much of it learns.

    ``pretrained``: ``none``, ``timm`` (timm's hub) or a file: ``.npz`` as in the dequantised MobileNetV2 weights,
    or ``.safetensors`` in timm's names. ``frozen_stages`` stages, counted from the stem, keep their weights and
    statistics, or with ``all`` the whole backbone does. ``batch_norm``: ``learn``, or ``fold`` it into the convolutions
    of pretrained weights, with the statistics that they came with. A ``cosine`` head multiplies cosines by
    ``cosine_scale``, which learns unless ``learn_scale`` is off. ``pretrained_share`` of every weight of the backbone
    goes back, when training has ended, to what it was before (WiSE-FT, arXiv:2109.01903).
    """

    backbone: str = "mobilenetv2_100"
    pretrained: str = "none"
    head: Literal["linear", "cosine"] = "linear"
    cosine_scale: Positive = 16.0
    learn_scale: bool = True
    dropout: Fraction = 0.0
    frozen_stages: FrozenStages = 0
    batch_norm: Literal["learn", "fold"] = "learn"
    pretrained_share: Fraction = 0.0


class Optimisation(Frozen):
    """Optimiser and schedule. Rates are for the head; the backbone's is ``backbone_lr_factor`` of it, in its last
    stage, and in each stage below ``layer_decay`` of the one above (layer-wise rates).

    The rate rises over ``warmup_epochs``, then falls as a cosine to ``final_lr_factor``, or with ``decay=step`` to
    ``step_factor`` of what it was once each of the shares ``steps_at`` of the epochs has passed. ``decay_vectors``
    lets weight decay reach biases and batch normalisation too. A run ends with the running average of its weights:
    ``ema_decay`` of what it was and the rest of the newest, which count more in the first steps.
    """

    epochs: Annotated[int, Field(gt=0)] = 24
    batch_size: Annotated[int, Field(gt=1)] = 32
    optimiser: Literal["adamw", "sgd"] = "adamw"
    lr: Positive = 5e-3
    backbone_lr_factor: Positive = 0.1
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    decay_vectors: bool = False
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    decay: Literal["cosine", "step"] = "cosine"
    final_lr_factor: Fraction = 0.01
    steps_at: Shares = (0.8, 0.9)
    step_factor: Fraction = 0.01
    mixup_alpha: Annotated[float, Field(ge=0)] = 0.2
    cutmix_alpha: Annotated[float, Field(ge=0)] = 0.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    clip_norm: Annotated[float, Field(ge=0)] = 1.0


class RunConfig(Frozen):
    """A complete run. ``precision``: ``auto`` is bf16 where the hardware trains faster in it. ``workers`` None is
    as many loading processes as the hardware has cores for; the photos they give do not depend on it.
    ``train_size_px`` may be under ``size_px``: random crops make things look larger in training than they are in
    evaluation, and a larger evaluation size undoes that (Touvron et al., 2019). A run that corrects the class prior
    more than once is refused unless ``allow_double_correction`` says that it is meant.
    """

    recipe: str
    seed: int = 0
    size_px: Annotated[int, Field(ge=16, le=1024)] = 224
    train_size_px: Annotated[int | None, Field(ge=16, le=1024)] = None
    canvas_px: Annotated[int | None, Field(ge=16, le=1024)] = None
    fit: Literal["crop", "pad"] = "crop"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: Annotated[int | None, Field(ge=0)] = None
    threads: Annotated[int, Field(ge=0)] = 0
    model: Model = Model()
    loss: Loss = CrossEntropy()
    experts: Experts = Experts()
    weights: ClassWeights = EqualWeights()
    sampling: Sampling = Sampling()
    contrastive: Contrastive = NoContrast()
    distillation: Distillation = Distillation()
    stage: Stage = NoStage()
    post_hoc: PostHoc = PostHoc()
    allow_double_correction: bool = False
    augment: Augment = Augment()
    mixing: Mixing = Mixing()
    optimisation: Optimisation = Optimisation()

    @model_validator(mode="after")
    def _sizes(self) -> "RunConfig":
        if self.cache_side_px < self.size_px:
            raise ValueError(f"canvas_px {self.cache_side_px} must be at least size_px {self.size_px}")
        if self.augment.view == "pad_crop" and self.cache_side_px != self.size_px:
            raise ValueError(
                "augment.view=pad_crop shifts photos as they are: leave train_size_px and canvas_px out"
            )
        if self.augment.view == "pad_crop" and self.augment.changes_finished_views:
            raise ValueError(
                "augment.view=pad_crop shifts and mirrors photos, no more: leave augment.policy, hue and erase out"
            )
        return self

    @model_validator(mode="after")
    def _head_fits(self) -> "RunConfig":
        fixed = self.model.head == "cosine" and not self.model.learn_scale
        if self.loss.name == "ldam" and not fixed:
            raise ValueError(
                "loss=ldam has margins in cosines: use model.head=cosine model.learn_scale=false "
                "(the paper's model.cosine_scale is 30)"
            )
        needed = {
            "lws": "linear",
            "tau_norm": "linear",
            "mislas": "linear",
            "discriminant": "linear",
            "ncm": "cosine",
        }
        if self.model.head != needed.get(self.stage.name, self.model.head):
            raise ValueError(f"stage={self.stage.name} needs model.head={needed[self.stage.name]}")
        if self.post_hoc.moves_prior and self.model.head != "linear":
            raise ValueError("post_hoc takes the prior out of a bias: use model.head=linear")
        return self

    @model_validator(mode="after")
    def _weights_mix(self) -> "RunConfig":
        if self.model.pretrained_share and self.model.batch_norm != "fold":
            raise ValueError(
                "model.pretrained_share mixes weights, not statistics: use model.batch_norm=fold"
            )
        if self.distillation.soup and not (self.model.batch_norm == "fold" and self.distillation.learns):
            raise ValueError(
                "distillation.soup averages the weights of teachers, and no statistics: use distillation.teachers "
                "and model.batch_norm=fold"
            )
        if not (self.distillation.student or self.distillation.soup):
            raise ValueError(
                "distillation.student=false is a run that is its teachers' soup: use distillation.soup"
            )
        return self

    @model_validator(mode="after")
    def _patches_come(self) -> "RunConfig":
        rests, epochs = self.mixing.cmo_rest_epochs, self.optimisation.epochs
        if self.mixing.cmo and epochs <= 2 * rests:
            raise ValueError(
                f"mixing.cmo rests in the first and last {rests} epochs, and there are {epochs}: it would do nothing; "
                "use more optimisation.epochs or fewer mixing.cmo_rest_epochs"
            )
        return self

    @model_validator(mode="after")
    def _experts_fit(self) -> "RunConfig":
        several = self.experts.num > 1
        if several and (self.stage.name != "none" or self.post_hoc.moves_prior):
            raise ValueError("stage and post_hoc change one head: they do not go with several experts")
        if self.experts.diversity and not several:
            raise ValueError("experts.diversity needs several experts: experts.num=3")
        if self.experts.priors == "spread" and (self.experts.num != 3 or self.loss.name != "cross_entropy"):
            raise ValueError("experts.priors=spread is three experts on cross-entropy: experts.num=3")
        return self

    @model_validator(mode="after")
    def _contrast_fits(self) -> "RunConfig":
        if self.contrastive.name == "none":
            return self
        chosen = f"contrastive={self.contrastive.name}"
        if self.experts.num > 1:
            raise ValueError(f"{chosen} has one embedding an image: use experts.num=1")
        if self.optimisation.mixup_alpha or self.optimisation.cutmix_alpha or self.mixing.cmo:
            raise ValueError(
                f"{chosen} compares photos of one species each: use optimisation.mixup_alpha=0 "
                "optimisation.cutmix_alpha=0 mixing.cmo=0"
            )
        plain = isinstance(self.loss, CrossEntropy | LogitAdjusted) and not self.loss.label_smoothing
        if self.contrastive.name == "paco" and not plain:
            raise ValueError(
                f"{chosen} is a loss of its own: use loss.name=cross_entropy loss.label_smoothing=0"
            )
        return self

    @model_validator(mode="after")
    def _corrected_once(self) -> "RunConfig":
        found = self.corrections
        if len(found) > 1 and not self.allow_double_correction:
            raise ValueError(
                f"the class prior is corrected {len(found)} times, by {' and '.join(found)}; each is meant to be the "
                "only one, and together they favour the tail too much: take one away, or say "
                "allow_double_correction=true"
            )
        return self

    @property
    def corrections(self) -> tuple[str, ...]:
        """What moves the class prior of the logits, as ``part=name``. A stage with a new head begins from none.

        Teachers bring what was done to them after their epochs, and it is done to the student again.
        """
        choices: list[tuple[str, Choice]] = [
            (f"stage={self.stage.name}", self.stage),
            (f"post_hoc.tau={self.post_hoc.tau}", self.post_hoc),
        ]
        if self.stage.name not in ("crt", "ncm"):
            choices = [
                (f"sampling={self.sampling.name}", self.sampling),
                (f"loss={self.loss.name}", self.loss),
                (f"weights={self.weights.name}", self.weights),
                (f"experts.priors={self.experts.priors}", self.experts),
                (f"contrastive={self.contrastive.name}", self.contrastive),
                *choices,
            ]
            if self.distillation.student and (self.stage.moves_prior or self.post_hoc.moves_prior):
                choices.append((f"distillation.teachers={self.distillation.teachers}", self.distillation))
        found = [name for name, choice in choices if choice.moves_prior]
        if self.mixes_for_the_tail and self.stage.name not in ("crt", "ncm"):
            found.insert(0, "mixing=cmo" if self.mixing.cmo else "mixing=remix")
        # Beside a prior that is chosen on validation, which sees what the discriminant left, it is none.
        if isinstance(self.stage, Discriminant) and self.stage.share and self.post_hoc.tau:
            found.insert(0, "stage=discriminant")
        return tuple(found)

    @property
    def mixes_for_the_tail(self) -> bool:
        """Whether mixing gives labels (Remix) or images (CMO) to rarer classes, by an amount that nobody can derive."""
        mixed = self.optimisation.mixup_alpha > 0 or self.optimisation.cutmix_alpha > 0
        return self.mixing.cmo > 0 or (self.mixing.remix and mixed)

    @property
    def crop_size_px(self) -> int:
        """Side of the random crops that training sees."""
        return self.train_size_px or self.size_px

    @property
    def cache_side_px(self) -> int:
        """Short side of the decoded photos that crops are taken from."""
        if self.augment.view == "pad_crop":
            return self.canvas_px or self.crop_size_px
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


def read_config(path: Path) -> RunConfig:
    """The configuration that a run folder keeps. Raises ValueError naming the file."""
    try:
        return RunConfig.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a run's configuration: {sentence(error)}") from error
