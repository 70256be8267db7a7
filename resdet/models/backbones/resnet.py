"""Residual networks for ImageNet: 18, 34, 50, 101, 152 layers, and plain ones (paper, sections 3 and 4.1).

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
from resdet.models.registry import register_backbone

Norm = Callable[[int], nn.Module]


class ResNet(nn.Module):
    """A residual (or plain) network: stem, stages ``layer1`` …, global average pool, ``fc``.

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
        return x

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
) -> ResNet:
    """Build a network from its parts; the arguments are those of ``BackboneSpec``, which see, and of ``ResNet``.

    Raises:
        ConfigError: with every option out of range.
    """
    spec = BackboneSpec(name, block, layers, num_classes, stem, width, shortcut, stride_in_1x1, zero_init_last, in_channels)
    return ResNet(spec, norm)


@register_backbone
def resnet18(**options: Any) -> ResNet:
    """ResNet-18; the options are those of ``build_resnet``."""
    return build_resnet("resnet18", "basic", (2, 2, 2, 2), **options)


@register_backbone
def resnet34(**options: Any) -> ResNet:
    """ResNet-34; the options are those of ``build_resnet``."""
    return build_resnet("resnet34", "basic", (3, 4, 6, 3), **options)


@register_backbone
def resnet50(**options: Any) -> ResNet:
    """ResNet-50; the options are those of ``build_resnet``."""
    return build_resnet("resnet50", "bottleneck", (3, 4, 6, 3), **options)


@register_backbone
def resnet101(**options: Any) -> ResNet:
    """ResNet-101; the options are those of ``build_resnet``."""
    return build_resnet("resnet101", "bottleneck", (3, 4, 23, 3), **options)


@register_backbone
def resnet152(**options: Any) -> ResNet:
    """ResNet-152; the options are those of ``build_resnet``."""
    return build_resnet("resnet152", "bottleneck", (3, 8, 36, 3), **options)


@register_backbone
def plain18(**options: Any) -> ResNet:
    """The plain 18-layer network: ResNet-18 without shortcuts."""
    return _plain("plain18", (2, 2, 2, 2), options)


@register_backbone
def plain34(**options: Any) -> ResNet:
    """The plain 34-layer network: ResNet-34 without shortcuts."""
    return _plain("plain34", (3, 4, 6, 3), options)


def _plain(name: str, layers: tuple[int, ...], options: dict[str, Any]) -> ResNet:
    if options.setdefault("shortcut", "none") != "none":
        raise ConfigError(f"{name}: 'shortcut' must be none, a plain network has no shortcuts, got {options['shortcut']!r}")
    return build_resnet(name, "basic", layers, **options)


def _stem_convolution(spec: BackboneSpec) -> nn.Conv2d:
    kernel, stride = (7, 2) if spec.stem == "imagenet" else (3, 1)
    return nn.Conv2d(spec.in_channels, spec.width, kernel, stride, padding=kernel // 2, bias=False)


def _make_stage(spec: BackboneSpec, stage: int, blocks: int, in_channels: int, norm: Norm) -> nn.Sequential:
    """The blocks of one stage; the first one changes resolution (not in the first stage) and channels."""
    width, out_channels = spec.width * 2**stage, spec.stage_channels[stage]
    made = []
    for index in range(blocks):
        stride = 2 if stage > 0 and index == 0 else 1
        if spec.block == "bottleneck":
            branch = bottleneck_branch(in_channels, width, stride, spec.stride_in_1x1)
        else:
            branch = basic_branch(in_channels, width, stride)
        made.append(ResidualBlock(branch, norm, make_shortcut(spec.shortcut, in_channels, out_channels, stride, norm)))
        in_channels = out_channels
    return nn.Sequential(*made)


def _he_init(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)) and not module.weight.is_meta:  # meta: shapes alone, nothing to fill
        fan_in = module.weight[0].numel()
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
