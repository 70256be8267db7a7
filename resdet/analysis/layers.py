"""The convolutions of a residual network in the order of its depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from torch import nn

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.resnet import ResNet


@dataclass(frozen=True)
class ConvLayer:
    """A convolution of a network.

    Attributes:
        name: as in the state dict: ``conv1``, ``layer1.0.conv2``.
        depth: 1 for the stem's, then one more for each convolution of the branches; a projection shortcut has the depth of
            its block's last convolution, beside which it works.
        conv: the convolution.
        norm: the BN that follows it; None for a projection and in a pre-activation block, where BN comes first.
        is_projection: whether it is a shortcut and no layer of its own.
    """

    name: str
    depth: int
    conv: nn.Conv2d
    norm: nn.Module | None
    is_projection: bool = False


def convolutions(resnet: ResNet) -> list[ConvLayer]:
    """Every convolution of ``resnet``, by depth; a block's projection comes after its branch."""
    layers = [ConvLayer("conv1", 1, resnet.conv1, resnet.bn1)]
    for block_name, block in named_blocks(resnet):
        for number in range(1, block.depth + 1):
            conv = cast(nn.Conv2d, block.get_submodule(f"conv{number}"))
            norm = None if block.preactivation else block.get_submodule(f"bn{number}")
            layers.append(ConvLayer(f"{block_name}.conv{number}", layers[-1].depth + 1, conv, norm))
        layers += list(_projections(block_name, block, layers[-1].depth))
    return layers


def named_blocks(resnet: ResNet) -> list[tuple[str, ResidualBlock]]:
    """Every residual block with its name, ``layer1.0`` …, in order."""
    names = [f"layer{stage}.{index}" for stage, count in enumerate(resnet.spec.layers, 1) for index in range(count)]
    return list(zip(names, resnet.blocks(), strict=True))


def is_plain(resnet: ResNet) -> bool:
    """Whether the network has no shortcuts."""
    return resnet.spec.shortcut == "none"


def weighted_layers(resnet: ResNet) -> int:
    """Layers as the paper counts them: the stem, the convolutions of the branches, ``fc``; projections do not count."""
    return max(layer.depth for layer in convolutions(resnet)) + 1


def _projections(block_name: str, block: ResidualBlock, depth: int) -> Iterator[ConvLayer]:
    for name, part in block.named_modules(prefix=block_name):
        if name.startswith(f"{block_name}.downsample") and isinstance(part, nn.Conv2d):
            yield ConvLayer(name, depth, part, None, is_projection=True)
