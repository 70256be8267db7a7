"""A residual network cut for detection: conv1 … conv4_x over the image, conv5_x on each region (paper, appendix A)."""

from __future__ import annotations

from torch import Tensor, nn

from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet


class Trunk(nn.Module):
    """conv1 … conv4_x, the part shared by all regions; attributes ``conv1``, ``bn1``, ``layer1``, ``layer2``, ``layer3``.

    The map of a pre-activation network is not activated yet: the BN and ReLU that follow it are conv5_1's own.

    Attributes:
        out_channels: C, channels of the map.
        stride: pixels of the image between positions of the map, 16.
    """

    stride = 16

    def __init__(self, resnet: ResNet) -> None:
        super().__init__()
        self.out_channels = resnet.spec.stage_channels[2]
        self.conv1 = resnet.conv1
        self.bn1 = resnet.bn1
        self.relu = resnet.relu
        self.maxpool = resnet.maxpool
        self.layer1, self.layer2, self.layer3 = resnet.stages()[:3]

    def forward(self, x: Tensor) -> Tensor:
        """Normalized images (N, 3, H, W) to the map (N, C, ceil(H / 16), ceil(W / 16))."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer3(self.layer2(self.layer1(x)))


class Head(nn.Module):
    """conv5_x, the part that runs on each pooled region; attribute ``layer4``, and a pre-activation network's ``bn_last``.

    Attributes:
        in_channels: C, channels of the pooled regions.
        out_channels: C', channels of the result.
        stride: pooled positions between positions of the result, 2.
    """

    stride = 2

    def __init__(self, resnet: ResNet) -> None:
        super().__init__()
        self.in_channels, self.out_channels = resnet.spec.stage_channels[2:]
        self.layer4 = resnet.stages()[3]
        self.bn_last = resnet.bn_last
        self.relu = resnet.relu

    def forward(self, x: Tensor) -> Tensor:
        """Regions (R, C, h, w) to (R, C', ceil(h / 2), ceil(w / 2)): 14x14 to 7x7."""
        x = self.layer4(x)
        return x if self.bn_last is None else self.relu(self.bn_last(x))


def split_c4(resnet: ResNet) -> tuple[Trunk, Head]:
    """Cut ``resnet`` before conv5_1; the parts are the network's own modules, its pool and ``fc`` are left out.

    Raises:
        ConfigError: for a network without four stages and ImageNet's stem.
    """
    spec = resnet.spec
    if len(spec.layers) != 4 or spec.stem == "cifar":
        raise ConfigError(
            f"backbone {spec.name!r} has {len(spec.layers)} stages and the {spec.stem} stem; a detector needs 4 and imagenet"
        )
    return Trunk(resnet), Head(resnet)


def freeze_stages(trunk: Trunk, head: Head, freeze_at: int) -> None:
    """Stop the first ``freeze_at`` stages from training: 1 conv1 and its BN, 2 layer1 too, … 5 the head too; 0 none.

    Raises:
        ConfigError: when ``freeze_at`` is not in 0 … 5.
    """
    if not 0 <= freeze_at <= 5:
        raise ConfigError(f"'freeze_at' must be in 0 … 5, got {freeze_at}")
    stages: tuple[nn.Module, ...] = (nn.ModuleList([trunk.conv1, trunk.bn1]), trunk.layer1, trunk.layer2, trunk.layer3, head)
    for stage in stages[:freeze_at]:
        stage.requires_grad_(False)
