"""The residual network, and its families for ImageNet: residual, pre-activation and plain (paper, sections 3 and 4.1).

Attribute names, and so the state dict's keys, are torchvision's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from resdet.errors import ConfigError
from resdet.models.backbones.blocks import ResidualBlock, basic_branch, bottleneck_branch
from resdet.models.backbones.shortcuts import make_shortcut
from resdet.models.backbones.spec import BackboneSpec
from resdet.models.registry import register_family

Norm = Callable[[int], nn.Module]
# depth: the block, and how many of them conv2_x, conv3_x, conv4_x and conv5_x have
_TABLE_1 = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """A residual (or plain) network: stem, stages ``layer1`` …, global average pool, ``fc``.

    A pre-activation network has ``bn_last`` and a ReLU after its last stage; in the others ``bn_last`` is None.

    Weights start He-normal, std = sqrt(2 / fan_in), biases at 0 (paper, section 3.4 and its reference 13).

    Args:
        spec: the shape of the network; kept as ``.spec``.
        norm: makes the normalization of so many channels.
    """

    def __init__(self, spec: BackboneSpec, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.spec = spec
        self.conv1 = _stem_convolution(spec)
        self.bn1 = norm(spec.width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if spec.stem == "imagenet" else nn.Identity()
        channels = spec.width
        for stage, blocks in enumerate(spec.layers):
            self.add_module(f"layer{stage + 1}", _make_stage(spec, stage, blocks, channels, norm))
            channels = spec.stage_channels[stage]
        self.bn_last = norm(channels) if spec.preactivation else None
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, spec.num_classes)
        self.apply(_he_init)
        if spec.zero_init_last:
            for block in self.blocks():
                nn.init.zeros_(cast(Tensor, block.last_norm.weight))

    def stages(self) -> list[nn.Sequential]:
        """The stages conv2_x, conv3_x, … as the paper calls them, in order."""
        return [cast(nn.Sequential, self.get_submodule(f"layer{number}")) for number in range(1, len(self.spec.layers) + 1)]

    def blocks(self) -> Iterator[ResidualBlock]:
        """Every residual block, in order."""
        for stage in self.stages():
            yield from cast("Iterator[ResidualBlock]", stage)

    def forward_features(self, x: Tensor) -> Tensor:
        """Float (N, in_channels, H, W) to the last stage's map (N, C, H', W'): H' = ceil(H / 32) with four stages."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self.stages():
            x = stage(x)
        return x if self.bn_last is None else cast(Tensor, self.relu(self.bn_last(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, in_channels, H, W), normalized as the weights want it, to logits (N, num_classes)."""
        return self.fc(torch.flatten(self.avgpool(self.forward_features(x)), 1))


def build_resnet(
    name: str,
    block: str,
    layers: tuple[int, ...],
    *,
    num_classes: int = 1000,
    norm: Norm = nn.BatchNorm2d,
    stride_in_1x1: bool = False,
    shortcut: str = "B",
    width: int = 64,
    zero_init_last: bool = False,
    in_channels: int = 3,
    stem: str = "imagenet",
    preactivation: bool = False,
) -> ResNet:
    """Build a network from its parts; the arguments are those of ``BackboneSpec``, which see, and of ``ResNet``.

    Raises:
        ConfigError: with every option out of range.
    """
    spec = BackboneSpec(
        name,
        block,
        layers,
        num_classes=num_classes,
        stem=stem,
        width=width,
        shortcut=shortcut,
        stride_in_1x1=stride_in_1x1,
        zero_init_last=zero_init_last,
        in_channels=in_channels,
        preactivation=preactivation,
    )
    return ResNet(spec, norm)


def build_plain(name: str, block: str, layers: tuple[int, ...], **options: Any) -> ResNet:
    """``build_resnet`` without shortcuts; the options are the same.

    Raises:
        ConfigError: when a shortcut is asked for, or an option is out of range.
    """
    shortcut = options.pop("shortcut", "none")
    if shortcut != "none":
        raise ConfigError(f"{name}: 'shortcut' must be none, a plain network has no shortcuts, got {shortcut!r}")
    return build_resnet(name, block, layers, shortcut="none", **options)


@register_family(*_TABLE_1)
def resnet(depth: int, **options: Any) -> ResNet:
    """ResNet-18, 34, 50, 101 or 152; the options are those of ``build_resnet``."""
    return build_resnet(f"resnet{depth}", *_TABLE_1[depth], **options)


@register_family(18, 34)
def plain(depth: int, **options: Any) -> ResNet:
    """The plain network of 18 or 34 layers: a ResNet without shortcuts; the options are those of ``build_resnet``."""
    return build_plain(f"plain{depth}", *_TABLE_1[depth], **options)


@register_family(*_TABLE_1)
def preact_resnet(depth: int, **options: Any) -> ResNet:
    """A ResNet of pre-activation blocks (He et al. 2016); the options are those of ``build_resnet``."""
    return build_resnet(f"preact_resnet{depth}", *_TABLE_1[depth], preactivation=True, **options)


def _stem_convolution(spec: BackboneSpec) -> nn.Conv2d:
    kernel, stride = (7, 2) if spec.stem == "imagenet" else (3, 1)
    return nn.Conv2d(spec.in_channels, spec.width, kernel, stride, padding=kernel // 2, bias=False)


def _make_stage(spec: BackboneSpec, stage: int, blocks: int, in_channels: int, norm: Norm) -> nn.Sequential:
    """The blocks of one stage; the first one changes resolution (not in the first stage) and channels."""
    first = _make_block(spec, stage, in_channels, 1 if stage == 0 else 2, norm, follows_stem=stage == 0)
    channels = spec.stage_channels[stage]
    return nn.Sequential(first, *(_make_block(spec, stage, channels, 1, norm) for _ in range(1, blocks)))


def _make_block(
    spec: BackboneSpec, stage: int, in_channels: int, stride: int, norm: Norm, *, follows_stem: bool = False
) -> ResidualBlock:
    width = spec.width * 2**stage
    if spec.block == "bottleneck":
        branch = bottleneck_branch(in_channels, width, stride, spec.stride_in_1x1)
    else:
        branch = basic_branch(in_channels, width, stride)
    return ResidualBlock(
        branch,
        norm,
        make_shortcut(spec.shortcut, in_channels, spec.stage_channels[stage], stride, None if spec.preactivation else norm),
        preactivation=spec.preactivation,
        activated_input=follows_stem,
    )


def _he_init(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)) and not module.weight.is_meta:  # meta: shapes alone, nothing to fill
        fan_in = module.weight[0].numel()
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
