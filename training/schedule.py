"""Learning rate and switches as pure functions of progress, so that resuming has nothing to restore."""

from math import ceil, cos, pi

from torch.optim import SGD, AdamW, Optimizer

from training.classifier import Classifier
from training.config import Optimisation


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
    """The first epoch, counted from 0, of what begins once a share ``after`` of the epochs has passed.

    >>> switch_epoch(0.8, 200), switch_epoch(0.8, 24), switch_epoch(0.0, 24), switch_epoch(1.0, 24)
    (160, 20, 0, 24)
    """
    return ceil(after * epochs - 1e-9)


def make_optimiser(classifier: Classifier, settings: Optimisation) -> Optimizer:
    """AdamW, or SGD with momentum, over what learns: the head at the full rate, the backbone at its share.

    Vectors (biases, normalisation) do not decay unless the settings say so. Each group keeps its peak rate as
    ``peak_lr``.
    """
    groups: list[dict[str, object]] = []
    for module, rate in (
        (classifier.backbone, settings.lr * settings.backbone_lr_factor),
        (classifier.head, settings.lr),
    ):
        learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
        for parameters, decay in (
            ([p for p in learning if p.ndim > 1], settings.weight_decay),
            ([p for p in learning if p.ndim <= 1], settings.weight_decay if settings.decay_vectors else 0.0),
        ):
            if parameters:
                groups.append({"params": parameters, "peak_lr": rate, "lr": rate, "weight_decay": decay})
    if settings.optimiser == "sgd":
        return SGD(groups, momentum=settings.momentum, fused=True)
    return AdamW(groups, fused=True)


def set_rate(optimiser: Optimizer, factor: float) -> None:
    """Set every group's rate to ``factor`` of its peak."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak_lr"] * factor
