"""Backbones by name. The one file that imports timm; knows nothing of classes, losses or photos.

Legend: B batch, D features, h w grid.
"""

import warnings
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from training import cifar_resnet as cifar_resnet  # registers its names with timm
from training.pretrained import load_folded_mobilenet


@dataclass(frozen=True)
class PixelRange:
    """Mean and standard deviation that a backbone expects, for pixels in 0 to 255."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Backbone(nn.Module):
    """A timm network cut before its pooling. Maps normalised images [B, 3, H, W] to features [B, D, h, w]."""

    def __init__(self, name: str, network: nn.Module, pixels: PixelRange, grid_prefix: int) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.pixels = pixels
        self.embedding_dim = cast(int, network.num_features)
        self._grid_prefix = grid_prefix

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Feature map [B, D, h, w]; a transformer's patch tokens are laid back on their grid."""
        features: Tensor = self.network.forward_features(image_BCHW)  # type: ignore[operator]
        if features.ndim == 3:
            side = int((features.shape[1] - self._grid_prefix) ** 0.5)
            patches = features[:, self._grid_prefix :]
            features = patches.transpose(1, 2).reshape(-1, patches.shape[2], side, side)
        elif features.shape[1] != self.embedding_dim:
            features = features.permute(0, 3, 1, 2)
        return features

    @property
    def slow_in_bf16(self) -> bool:
        """Whether a CPU trains it faster in fp32, even one with instructions for bf16: the wide depthwise convolutions
        of inverted residuals (MobileNets, EfficientNets) have no fast backward pass there.
        """
        return any(type(module).__name__ == "InvertedResidual" for module in self.network.modules())

    def stages(self) -> list[nn.Module]:
        """Parts in order from the stem, as far as the network names them: what can be frozen from below."""
        network = self.network
        stem = [
            getattr(network, name)
            for name in ("conv_stem", "bn1", "conv1", "stem", "patch_embed")
            if hasattr(network, name)
        ]
        if hasattr(network, "layer1"):
            blocks = [getattr(network, name) for name in _layers(network)]
        else:
            blocks = list(getattr(network, "blocks", None) or getattr(network, "stages", []))
        return [nn.ModuleList(stem), *blocks]

    def loose_parameters(self) -> list[nn.Parameter]:
        """Parameters of no part of the network, such as a transformer's places: they go with the stem."""
        return list(self.network.parameters(recurse=False))

    def stages_above(self) -> dict[nn.Parameter, int]:
        """How many stages follow each parameter's own; 0 in the last one and behind it."""
        stages = self.stages()
        above = dict.fromkeys(self.network.parameters(), 0)
        for place, stage in enumerate(stages):
            above |= dict.fromkeys(stage.parameters(), len(stages) - 1 - place)
        return above | dict.fromkeys(self.loose_parameters(), len(stages) - 1)

    def last_stage(self) -> tuple[nn.Module, str]:
        """Where the last of the stages hangs: its parent and its name there. Raises ValueError for unnamed stages."""
        network = self.network
        if layers := _layers(network):
            return network, layers[-1]
        for name in ("blocks", "stages"):
            if blocks := getattr(network, name, None):
                return blocks, str(len(blocks) - 1)
        raise ValueError(f"{self.name} does not name its stages: it cannot have several experts")


def _layers(network: nn.Module) -> list[str]:
    """A ResNet's stages: four, or three for CIFAR's."""
    return [name for name in ("layer1", "layer2", "layer3", "layer4") if hasattr(network, name)]


def make_backbone(name: str, pretrained: str, size_px: int, *, same_padding: bool = False) -> Backbone:
    """A backbone by timm's name with weights from ``none``, ``timm``, a ``.npz`` or a ``.safetensors`` file.

    Raises ValueError for an unknown name, with near ones, and for weights that do not fit.
    """
    check_backbone(name)
    folded = pretrained.endswith(".npz")
    if folded and not name.startswith("mobilenetv2"):
        raise ValueError(
            f"{pretrained}: a .npz file holds MobileNetV2; model.backbone={name} needs other weights"
        )
    network = _create(name, pretrained == "timm", size_px, same_padding=folded or same_padding)
    if folded:
        load_folded_mobilenet(network, Path(pretrained))
    tensorflow = PixelRange((128.0,) * 3, (128.0,) * 3)
    pixels = tensorflow if folded or same_padding else _pixel_range(network)
    if pretrained.endswith(".safetensors"):
        _load_safetensors(network, Path(pretrained))
    elif pretrained not in ("none", "timm") and not folded:
        raise ValueError(f"pretrained={pretrained!r}: expected none, timm, or a .npz or .safetensors file")
    return Backbone(name, network, pixels, int(getattr(network, "num_prefix_tokens", 0) or 0))


def freeze_unused(backbone: Backbone, size_px: int) -> None:
    """Freeze parameters that no feature of an image of ``size_px`` depends on; the state dict stays as it is.

    timm keeps some for its own pooling and head, such as MobileNetV3's last convolution or ConvNeXt's last
    normalisation. They would never have a gradient, which DistributedDataParallel and CUDA graphs do not survive.
    """
    twin = deepcopy(backbone).to("meta").eval()  # computes nothing, and whatever it caches goes with it
    try:
        with torch.enable_grad():
            features_BDhw = twin(torch.empty(1, 3, size_px, size_px, device="meta"))
    except RuntimeError:  # what a pass does depends on values, which are not there: it stays as timm made it
        return
    used = _leaves(features_BDhw)
    names = {name for name, parameter in twin.named_parameters() if parameter in used}
    everything = dict(backbone.named_parameters(remove_duplicate=False))
    for parameter in set(everything.values()) - {everything[name] for name in names}:
        parameter.requires_grad_(False)


def _leaves(outcome: Tensor) -> set[Tensor]:
    """The tensors that a backward pass from ``outcome`` would give a gradient."""
    found: set[Tensor] = set()
    seen, waiting = set(), [outcome.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(node.variable)
        waiting += [before for before, _ in node.next_functions]
    return found


def check_backbone(name: str) -> None:
    """Raises ValueError, with near names, where timm has no network of this name."""
    if timm.is_model(name):
        return
    near = [*get_close_matches(name, timm.list_models()), *timm.list_models(f"*{name.split('_')[0]}*")]
    words = ", ".join(list(dict.fromkeys(near))[:8]) or "see timm.list_models()"
    raise ValueError(f"unknown backbone {name!r}; near names: {words}")


def _create(name: str, pretrained: bool, size_px: int, *, same_padding: bool) -> nn.Module:
    options: dict[str, Any] = {"pad_type": "same"} if same_padding else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm warns of names it will rename
        try:
            return timm.create_model(name, pretrained=pretrained, num_classes=0, img_size=size_px, **options)
        except TypeError:  # only networks with fixed grids, such as ViT, take img_size
            return timm.create_model(name, pretrained=pretrained, num_classes=0, **options)


def _pixel_range(network: nn.Module) -> PixelRange:
    settings = network.pretrained_cfg
    mean = tuple(float(value) * 255 for value in settings["mean"])  # type: ignore[index]
    std = tuple(float(value) * 255 for value in settings["std"])  # type: ignore[index]
    return PixelRange(mean, std)  # type: ignore[arg-type]


def _load_safetensors(network: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"{path}: there are no weights here")
    state = load_file(path)
    wanted = network.state_dict()
    fitting = {
        key: value for key, value in state.items() if key in wanted and value.shape == wanted[key].shape
    }
    missing = [key for key in wanted if key not in fitting and not key.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(
            f"{path}: {len(missing)} tensors of {len(wanted)} are missing or differ, first {missing[0]!r}"
        )
    network.load_state_dict({**wanted, **fitting})
