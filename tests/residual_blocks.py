"""One residual block of any kind, outside of a network."""

from __future__ import annotations

from typing import Any

from torch import nn

from resdet.models.backbones.blocks import BasicBlock, Bottleneck, Norm, ResidualBlock
from resdet.models.backbones.preact_blocks import PreactBasicBlock, PreactBottleneck
from resdet.models.backbones.shortcuts import make_shortcut


def residual_block(
    kind: str,
    shape: tuple[int, int, int],
    *,
    option: str = "B",
    norm: Norm = nn.BatchNorm2d,
    preactivation: bool = False,
    follows_stem: bool = False,
    averaged: bool = False,
    **bottleneck: Any,
) -> ResidualBlock:
    """A basic block or a bottleneck; ``shape`` is (channels in, width, stride), ``option`` its shortcut."""
    inputs, width, stride = shape
    outputs = width * (4 if kind == "bottleneck" else 1)
    shortcut = make_shortcut(option, inputs, outputs, stride, None if preactivation else norm, averaged=averaged)
    order = {"activated_input": follows_stem} if preactivation else {}
    if kind == "basic":
        return (PreactBasicBlock if preactivation else BasicBlock)(inputs, outputs, stride, norm, shortcut, **order)
    bottleneck_kind = PreactBottleneck if preactivation else Bottleneck
    return bottleneck_kind(inputs, width, outputs, stride, norm, shortcut, **order, **bottleneck)
