"""The residual network: stem, stages of residual blocks, classifier (paper, sections 3 and 4.1).

Attribute names, and so the state dict's keys, are torchvision's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from resdet.errors import ConfigError
from resdet.models.backbones.blocks import BasicBlock, Bottleneck, Norm, ResidualBlock
from resdet.models.backbones.preact_blocks import PreactBasicBlock, PreactBottleneck
from resdet.models.backbones.shortcuts import make_shortcut
from resdet.models.backbones.spec import BackboneSpec
from resdet.models.backbones.stems import make_stem


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
        self.conv1 = make_stem(spec.stem, spec.in_channels, spec.width, norm)
        self.bn1 = norm(spec.width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if spec.stem == "cifar" else nn.MaxPool2d(3, stride=2, padding=1)
        for stage in range(len(spec.layers)):
            self.add_module(f"layer{stage + 1}", _make_stage(spec, stage, norm))
        channels = spec.stage_channels[-1]
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

    def renew_classifier(self) -> None:
        """Start the classifier ``fc`` anew, at random."""
        _he_init(self.fc)

    def forward_features(self, x: Tensor) -> Tensor:
        """Float (N, in_channels, H, W) to the last stage's map (N, C, H', W'): H' = ceil(H / 32) with four stages."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self.stages():
            x = stage(x)
        return x if self.bn_last is None else self.relu(self.bn_last(x))

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, in_channels, H, W), normalized as the weights want it, to logits (N, num_classes)."""
        return self.fc(torch.flatten(self.avgpool(self.forward_features(x)), 1))


def build_resnet(name: str, block: str, layers: tuple[int, ...], *, norm: Norm = nn.BatchNorm2d, **options: Any) -> ResNet:
    """Build a network from its parts.

    Args:
        name: the network's name, for messages.
        block: see ``BackboneSpec``.
        layers: see ``BackboneSpec``.
        norm: makes the normalization of so many channels.
        **options: the others of ``BackboneSpec``.

    Raises:
        ConfigError: with every option out of range.
    """
    return ResNet(BackboneSpec(name, block, layers, **options), norm)


def build_plain(name: str, block: str, layers: tuple[int, ...], **options: Any) -> ResNet:
    """``build_resnet`` without shortcuts; the options are the same.

    Raises:
        ConfigError: when a shortcut is asked for, or an option is out of range.
    """
    shortcut = options.pop("shortcut", "none")
    if shortcut != "none":
        raise ConfigError(f"{name}: 'shortcut' must be none, a plain network has no shortcuts, got {shortcut!r}")
    return build_resnet(name, block, layers, shortcut="none", **options)


def _make_stage(spec: BackboneSpec, stage: int, norm: Norm) -> nn.Sequential:
    """The blocks of one stage; the first one changes resolution (not in the first stage) and channels."""
    channels = spec.stage_channels[stage]
    if stage == 0:
        first = _make_block(spec, stage, spec.width, 1, norm, follows_stem=True)
    else:
        first = _make_block(spec, stage, spec.stage_channels[stage - 1], 2, norm)
    return nn.Sequential(first, *(_make_block(spec, stage, channels, 1, norm) for _ in range(1, spec.layers[stage])))


def _make_block(
    spec: BackboneSpec, stage: int, in_channels: int, stride: int, norm: Norm, *, follows_stem: bool = False
) -> ResidualBlock:
    out_channels, width = spec.stage_channels[stage], spec.branch_channels[stage]
    shortcut = make_shortcut(
        spec.shortcut,
        in_channels,
        out_channels,
        stride,
        norm if spec.shortcut_norm and not spec.preactivation else None,
        averaged=spec.averaged_shortcut,
    )
    if spec.block == "basic" and spec.preactivation:
        return PreactBasicBlock(in_channels, out_channels, stride, norm, shortcut, activated_input=follows_stem)
    if spec.block == "basic":
        return BasicBlock(in_channels, out_channels, stride, norm, shortcut)
    shape, groups, in_1x1 = (in_channels, width, out_channels, stride), spec.groups, spec.stride_in_1x1
    if spec.preactivation:
        return PreactBottleneck(*shape, norm, shortcut, groups=groups, stride_in_1x1=in_1x1, activated_input=follows_stem)
    return Bottleneck(*shape, norm, shortcut, groups=groups, stride_in_1x1=in_1x1)


def _he_init(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)) and not module.weight.is_meta:  # meta: shapes alone, nothing to fill
        fan_in = module.weight[0].numel()
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
