"""ResNet-32 for 32 px images, as the CIFAR figures of the long-tail papers use it; timm has none. Registers itself.

He et al. (2016), section 4.2: three stages of five blocks, 16, 32 and 64 channels, shortcuts without weights.
Legend: B batch, D channels, H W pixels.
"""

from typing import Any

from timm.models import register_model
from torch import Tensor, nn
from torch.nn import functional

_PIXELS = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}
"""Of CIFAR-10's training images, in 0 to 1, as Cao et al. (2019) normalise."""


class CifarBlock(nn.Module):
    """Two 3 x 3 convolutions; the shortcut skips every second pixel and pads channels with zeros."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.more_channels = stride, channels - in_channels

    def forward(self, features_BDHW: Tensor) -> Tensor:
        """Features of twice the channels and half the side where the block begins a stage."""
        changed = functional.relu(self.bn1(self.conv1(features_BDHW)))
        changed = self.bn2(self.conv2(changed))
        shortcut = features_BDHW
        if self.more_channels:
            before = self.more_channels // 2
            shortcut = functional.pad(
                shortcut[:, :, :: self.stride, :: self.stride],
                (0, 0, 0, 0, before, self.more_channels - before),
            )
        return functional.relu(changed + shortcut)


class CifarResNet(nn.Module):
    """Stem, three stages, no pooling: images [B, 3, 32, 32] -> features [B, 64, 8, 8]."""

    num_features = 64
    pretrained_cfg = _PIXELS

    def __init__(self, blocks_per_stage: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stages = []
        for in_channels, channels, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)):
            first = CifarBlock(in_channels, channels, stride)
            others = [CifarBlock(channels, channels, 1) for _ in range(blocks_per_stage - 1)]
            stages.append(nn.Sequential(first, *others))
        self.layer1, self.layer2, self.layer3 = stages
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward_features(self, image_BCHW: Tensor) -> Tensor:
        """Features before pooling."""
        features = functional.relu(self.bn1(self.conv1(image_BCHW)))
        return self.layer3(self.layer2(self.layer1(features)))  # type: ignore[no-any-return]


@register_model
def resnet32_cifar(pretrained: bool = False, **options: Any) -> CifarResNet:
    """ResNet-32. Raises ValueError where pretrained weights are asked for: there are none."""
    if pretrained:
        raise ValueError("resnet32_cifar has no pretrained weights: use model.pretrained=none")
    return CifarResNet(blocks_per_stage=5)
