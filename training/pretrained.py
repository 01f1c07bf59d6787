"""MobileNetV2 weights whose batch normalisation was folded away, and how to give it back.

The file has ``NN.weight`` (OIHW) and ``NN.bias`` for the 52 convolutions in graph order, then a classifier.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.folding import convolution_pairs


def load_folded_mobilenet(network: nn.Module, path: Path) -> None:
    """Put folded weights into a MobileNetV2 with "same" padding, exactly: each normalisation becomes ``x + bias``.

    Call ``restore_batch_norm`` before fine-tuning. Raises ValueError if the file does not fit the network.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there are no weights here")
    pairs = _mobilenet_pairs(network)
    with np.load(path) as weights:
        if f"{len(pairs):02d}.weight" not in weights or f"{len(pairs) + 1:02d}.weight" in weights:
            raise ValueError(
                f"{path}: expected {len(pairs)} convolutions and a classifier; is this MobileNetV2 1.0?"
            )
        for index, (convolution, norm) in enumerate(pairs):
            kernel = torch.from_numpy(weights[f"{index:02d}.weight"])
            if kernel.shape != convolution.weight.shape:
                raise ValueError(
                    f"{path}: {index:02d}.weight is {tuple(kernel.shape)}, not {tuple(convolution.weight.shape)}"
                )
            with torch.no_grad():
                convolution.weight.copy_(kernel)
                norm.running_mean.zero_()  # type: ignore[union-attr]
                norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]
                norm.weight.fill_(1.0)
                norm.bias.copy_(torch.from_numpy(weights[f"{index:02d}.bias"]))
    network.register_buffer("batch_norm_is_folded", torch.tensor(True), persistent=False)


@torch.no_grad()
def restore_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give each folded normalisation the statistics of its input, without changing what the network computes.

    With mean m and variance v of a convolution's output over ``batches`` (normalised images [B, 3, H, W]):
    running mean m, running variance v, weight sqrt(v + eps), bias m + b.
    """
    norms = [norm for _, norm in convolution_pairs(network)]
    sums: dict[nn.Module, tuple[Tensor, Tensor, int]] = {}

    def observe(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].detach().double()
        total, squares, count = sums.get(module, (torch.zeros(()), torch.zeros(()), 0))
        axes = (0, 2, 3)
        sums[module] = (
            total + values.sum(axes),
            squares + values.square().sum(axes),
            count + values.numel() // values.shape[1],
        )

    hooks = [norm.register_forward_pre_hook(observe) for norm in norms]
    was_training = network.training
    network.eval()
    for batch in batches:
        network.forward_features(batch)  # type: ignore[operator]
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        total, squares, count = sums[norm]
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0.0)
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)
    del network.batch_norm_is_folded


def _mobilenet_pairs(network: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    pairs = convolution_pairs(network)
    if len(pairs) != 52:
        raise ValueError(
            "folded weights fit only a MobileNetV2 (52 convolutions, each with batch normalisation)"
        )
    return pairs
