"""Lists the convolutions of a residual network by depth."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.preact_blocks import PreactBlock
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.shortcuts import Projection
from resdet.models.backbones.stems import stem_layers


@dataclass(frozen=True)
class ConvLayer:
    """A convolution of a network.

    Attributes:
        name: the name in the state dict: ``conv1``, ``layer1.0.conv2``.
        depth: 1 for the first, then one more for each convolution of the stem and of the branches; a projection shortcut has
            the depth of its block's last convolution, beside which it works.
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
    stem = stem_layers(resnet.conv1, resnet.bn1)
    names = {id(part): name for name, part in resnet.named_modules()}
    layers = [ConvLayer(names[id(conv)], depth, conv, norm) for depth, (conv, norm) in enumerate(stem, start=1)]
    for block_name, block in named_blocks(resnet):
        for number, (conv, norm) in enumerate(block.layers, start=1):
            after = None if isinstance(block, PreactBlock) else norm
            layers.append(ConvLayer(f"{block_name}.conv{number}", layers[-1].depth + 1, conv, after))
        if isinstance(block.downsample, Projection):
            conv = block.downsample.conv
            layers.append(ConvLayer(names[id(conv)], layers[-1].depth, conv, None, is_projection=True))
    return layers


def named_blocks(resnet: ResNet) -> list[tuple[str, ResidualBlock]]:
    """Every residual block with its name, ``layer1.0`` …, in order."""
    names = [f"layer{stage}.{index}" for stage, count in enumerate(resnet.spec.layers, 1) for index in range(count)]
    return list(zip(names, resnet.blocks(), strict=True))


def keeps_shape(block: ResidualBlock) -> bool:
    """Whether the branch of a block gives as many channels as it takes, in the same size."""
    convs = [conv for conv, _ in block.layers]
    return all(conv.stride == (1, 1) for conv in convs) and convs[0].in_channels == convs[-1].out_channels


def is_plain(resnet: ResNet) -> bool:
    """Whether the network has no shortcuts."""
    return resnet.spec.shortcut == "none"


def weighted_layers(resnet: ResNet) -> int:
    """The number of layers as the paper counts them: stem, convolutions of the branches and ``fc``, without projections."""
    return max(layer.depth for layer in convolutions(resnet)) + 1
