"""Learning rate and switches as pure functions of progress, so that resuming has nothing to restore."""

from math import ceil, cos, pi

from torch.optim import AdamW

from training.classifier import Classifier
from training.config import Optimisation


def lr_factor(epoch: float, settings: Optimisation) -> float:
    """Share of the peak rate at a fractional epoch: linear warm-up, then cosine to ``final_lr_factor``.

    >>> settings = Optimisation(epochs=10, warmup_epochs=2, final_lr_factor=0.0)
    >>> [round(lr_factor(epoch, settings), 3) for epoch in (0, 1, 2, 6, 10)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if epoch < settings.warmup_epochs:
        return epoch / settings.warmup_epochs
    remaining = max(settings.epochs - settings.warmup_epochs, 1e-9)
    progress = min((epoch - settings.warmup_epochs) / remaining, 1.0)
    return settings.final_lr_factor + (1 - settings.final_lr_factor) * (1 + cos(pi * progress)) / 2


def switch_epoch(after: float, epochs: int) -> int:
    """The first epoch, counted from 0, of what begins once a share ``after`` of the epochs has passed.

    >>> switch_epoch(0.8, 200), switch_epoch(0.8, 24), switch_epoch(0.0, 24), switch_epoch(1.0, 24)
    (160, 20, 0, 24)
    """
    return ceil(after * epochs - 1e-9)


def make_optimiser(classifier: Classifier, settings: Optimisation) -> AdamW:
    """AdamW over what learns: the head at the full rate, the backbone at its share; no decay on vectors.

    Each group keeps its peak rate as ``peak_lr``.
    """
    groups: list[dict[str, object]] = []
    for module, rate in (
        (classifier.backbone, settings.lr * settings.backbone_lr_factor),
        (classifier.head, settings.lr),
    ):
        learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
        for parameters, decay in (
            ([p for p in learning if p.ndim > 1], settings.weight_decay),
            ([p for p in learning if p.ndim <= 1], 0.0),
        ):
            if parameters:
                groups.append({"params": parameters, "peak_lr": rate, "lr": rate, "weight_decay": decay})
    return AdamW(groups, fused=True)


def set_rate(optimiser: AdamW, factor: float) -> None:
    """Set every group's rate to ``factor`` of its peak."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak_lr"] * factor
