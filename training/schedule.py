"""Learning rate and switches as pure functions of progress, so that resuming has nothing to restore."""

from math import ceil, cos, inf, pi

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from training.classifier import Classifier
from training.config import Optimisation

_HEAD = inf
"""Its place among the backbone's stages, which are counted from the last one down."""


def lr_factor(epoch: float, settings: Optimisation) -> float:
    """Share of the peak rate at a fractional epoch: linear warm-up, then cosine or steps.

    >>> settings = Optimisation(epochs=10, warmup_epochs=2, final_lr_factor=0.0)
    >>> [round(lr_factor(epoch, settings), 3) for epoch in (0, 1, 2, 6, 10)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    >>> settings = Optimisation(epochs=200, warmup_epochs=5, decay="step", steps_at=(0.8, 0.9), step_factor=0.01)
    >>> [round(lr_factor(epoch, settings), 6) for epoch in (2.5, 5, 160, 160.01, 180.01)]
    [0.5, 1.0, 1.0, 0.01, 0.0001]
    """
    if epoch < settings.warmup_epochs:
        return epoch / settings.warmup_epochs
    if settings.decay == "step":
        passed = sum(epoch > share * settings.epochs + 1e-9 for share in settings.steps_at)
        return float(settings.step_factor**passed)
    remaining = max(settings.epochs - settings.warmup_epochs, 1e-9)
    progress = min((epoch - settings.warmup_epochs) / remaining, 1.0)
    return settings.final_lr_factor + (1 - settings.final_lr_factor) * (1 + cos(pi * progress)) / 2


def switch_epoch(after: float, epochs: int) -> int:
    """The first epoch, counted from 0, of what begins once a share ``after``, under 1, of the epochs has passed.

    It is the last epoch at the latest: in a run of two, DRW would otherwise be DRW by its name alone.

    >>> switch_epoch(0.8, 200), switch_epoch(0.8, 24), switch_epoch(0.0, 24), switch_epoch(0.8, 2)
    (160, 20, 0, 1)
    """
    return min(ceil(after * epochs - 1e-9), epochs - 1)


def make_optimiser(classifier: Classifier, settings: Optimisation) -> Optimizer:
    """AdamW, or SGD with momentum, over what learns: the head at the full rate, the backbone's stages at their shares.

    Vectors (biases, normalisation) do not decay unless the settings say so. Each group keeps its peak rate as
    ``peak_lr``. Raises ValueError for layer-wise rates of a backbone that does not name its stages.
    """
    above = _stages_above(classifier, settings)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in [*classifier.backbone.parameters(), *classifier.head.parameters()]:
        if parameter.requires_grad:
            groups.setdefault((above.get(parameter, _HEAD), parameter.ndim > 1), []).append(parameter)
    options: list[dict[str, object]] = []
    # Sorted, since checkpoints keep the optimiser's state by place.
    for (place, is_matrix), parameters in sorted(
        groups.items(), key=lambda group: (group[0][0], not group[0][1])
    ):
        share = 1.0 if place == _HEAD else settings.backbone_lr_factor * settings.layer_decay**place
        decay = settings.weight_decay if is_matrix or settings.decay_vectors else 0.0
        rate = settings.lr * share
        options.append({"params": parameters, "peak_lr": rate, "lr": rate, "weight_decay": decay})
    if settings.optimiser == "sgd":
        return SGD(options, momentum=settings.momentum, fused=True)
    return AdamW(options, fused=True)


def _stages_above(classifier: Classifier, settings: Optimisation) -> dict[nn.Parameter, int]:
    backbone = classifier.backbone
    if settings.layer_decay == 1:
        return dict.fromkeys(backbone.parameters(), 0)
    if len(backbone.stages()) == 1:
        raise ValueError(f"{backbone.name} does not name its stages: it cannot have optimisation.layer_decay")
    return backbone.stages_above()


def set_rate(optimiser: Optimizer, factor: float) -> None:
    """Set every group's rate to ``factor`` of its peak."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak_lr"] * factor
