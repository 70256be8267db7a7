"""Frozen batch normalization folded into the convolution before it.

BN with constant statistics is affine, ``y = s x + t`` a channel with ``s = weight / sqrt(var + eps)``, ``t = bias - mean s``;
after a convolution it is a convolution with the weight ``s w`` and the bias ``t``. In a pre-activation block one
stands between a sum and a ReLU: that one stays, and those between the block's convolutions fold.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.misfit import block_misfit, is_a, module_misfit, relu_misfit, stem_misfit
from resdet.models.backbones.preact_blocks import PreactBlock
from resdet.models.backbones.shortcuts import Projection
from resdet.models.backbones.split import Head, Trunk
from resdet.models.backbones.stems import stem_layers
from resdet.models.backbones.unnormalized import ScaleShift
from resdet.ops.conv_relu import Window, conv_relu
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.ops.precision import in_float64


def fold(conv: nn.Module, norm: nn.Module | None, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
    """Weight and bias of one convolution that is ``conv`` and then ``norm`` (None: nothing), in ``dtype`` (None: its own)."""
    weight: Tensor = conv.get_parameter("weight").detach()
    bias = weight.new_zeros(len(weight)) if conv.bias is None else conv.get_parameter("bias").detach()
    dtype = dtype or weight.dtype
    if norm is None:
        return weight.to(dtype, copy=True), bias.to(dtype, copy=True)
    scale, shift = _affine(norm)
    folded = in_float64(weight) * scale[:, None, None, None]
    return folded.to(weight.device, dtype), (in_float64(bias) * scale + shift).to(bias.device, dtype)


def folded_convolutions(block: ResidualBlock, dtype: torch.dtype | None = None) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution of a block's branch with the BN that follows it in the branch."""
    convolutions, norms = zip(*block.layers, strict=True)
    if isinstance(block, PreactBlock):  # it begins with a BN, and its last convolution is followed by the sum
        norms = (*norms[1:], None)
    return [fold(conv, norm, dtype) for conv, norm in zip(convolutions, norms, strict=True)]


def fold_projection(projection: Projection, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
    """Weight and bias of a projection's convolution, with its BN where it has one."""
    return fold(projection.conv, projection.norm, dtype)


def foldable(*stages: nn.Module) -> bool:
    """Whether all blocks of these stages are nothing but convolutions, BN and ReLUs, which folding knows."""
    return not any(map(_misfit, blocks(*stages)))


def trunk_misfit(trunk: nn.Module) -> str:
    """Whether around its blocks a trunk is as it is written to be; see ``resdet.models.backbones.misfit``."""
    if not isinstance(trunk, Trunk) or not is_a(trunk, Trunk):
        return f"a {type(trunk).__name__} in place of a trunk"
    stem = stem_misfit(trunk.conv1, trunk.bn1, trunk.relu, FrozenBatchNorm2d, nn.BatchNorm2d)
    return stem or module_misfit(trunk) or _stages_misfit(trunk.layer1, trunk.layer2, trunk.layer3)


def _head_misfit(head: nn.Module) -> str:
    """As ``trunk_misfit``, of conv5."""
    if type(head) is not Head:
        return f"a {type(head).__name__} in place of conv5"
    norm = head.bn_last
    known = norm is None or type(norm) in (FrozenBatchNorm2d, nn.BatchNorm2d)
    last = "" if known else f"a {type(norm).__name__} at the end of conv5"
    return last or relu_misfit(head.relu) or module_misfit(head, norm) or _stages_misfit(head.layer4)


def _stages_misfit(*stages: nn.Module) -> str:
    others = [f"a {type(stage).__name__} in place of a stage" for stage in stages if type(stage) is not nn.Sequential]
    return others[0] if others else module_misfit(*stages)


def copied(module: nn.Module) -> Any:
    """A deep copy; of weights that are computed from others at each pass, as weight norm does it, their values."""
    tensors = [value for part in module.modules() for value in vars(part).values() if isinstance(value, Tensor)]
    return copy.deepcopy(module, {id(each): each.detach().clone() for each in tensors if not each.is_leaf})


class Kept(nn.Module):
    """A network that folding does not know, as it is, in the dtype of its parameters.

    Args:
        module: what it is a copy of.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = copied(module).eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """What the network gives."""
        return cast(Tensor, self.module(x.to(next(self.parameters()).dtype)))


def rows(weight: Tensor) -> Tensor:
    """The weight (C', C, 1, 1) of a 1×1 convolution as (C, C'): what rows of C numbers are multiplied by."""
    return weight.flatten(1).t().contiguous()


class FoldedBlock(nn.Module):
    """A residual block of any kind.

    Args:
        block: what it computes.
    """

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.preactivation = isinstance(block, PreactBlock)
        self.first_norm = _Affine(block.bn1) if isinstance(block, PreactBlock) and block.bn1 is not None else None
        self.convolutions = nn.ModuleList(
            _convolution(weight, bias, conv)
            for (weight, bias), (conv, _) in zip(folded_convolutions(block), block.layers, strict=True)
        )
        self.shortcut = _folded_shortcut(block.downsample)
        if isinstance(block.downsample, Projection):
            self._join_biases()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        out = x if self.first_norm is None else self.first_norm(x).relu_()
        # an identity takes what enters a pre-activation block, a projection what its first ReLU gives
        source = x if isinstance(self.shortcut, nn.Identity) else out
        residual = None if self.shortcut is None else self.shortcut(source)
        *inner, last = self.convolutions
        for conv in inner:
            out = _conv_relu(conv, out)
        if not self.preactivation:
            return _conv_relu(last, out, residual)
        out = last(out)
        return out if residual is None else out.add_(residual)

    def _join_biases(self) -> None:
        """One bias for the sum of two convolutions, so that the shortcut's needs no pass of its own."""
        last, projection = self.convolutions[-1], list(cast(nn.Module, self.shortcut).modules())[-1]
        last.bias = nn.Parameter(last.get_parameter("bias") + projection.get_parameter("bias"), requires_grad=False)
        projection.register_parameter("bias", None)


def folded_trunk(trunk: nn.Module) -> nn.Module:
    """Conv1 … conv4 of any kind with BN folded; as it is where it holds what folding does not know."""
    return FoldedTrunk(trunk) if isinstance(trunk, Trunk) and not trunk_misfit(trunk) else Kept(trunk)


def folded_head(head: nn.Module) -> nn.Module:
    """As ``folded_trunk``, of conv5."""
    return FoldedHead(head) if isinstance(head, Head) and not _head_misfit(head) else Kept(head)


class FoldedTrunk(nn.Module):
    """conv1 … conv4, channels last.

    Args:
        trunk: what it computes.
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.stem = nn.ModuleList(_convolution(*fold(conv, norm), conv) for conv, norm in stem_layers(trunk.conv1, trunk.bn1))
        self.maxpool = copy.deepcopy(trunk.maxpool)
        self.blocks = nn.Sequential(*map(_folded, blocks(trunk.layer1, trunk.layer2, trunk.layer3)))

    def forward(self, x: Tensor) -> Tensor:
        """Normalized images (N, 3, H, W) to the map (N, C, ceil(H / 16), ceil(W / 16)), in the weights' dtype."""
        x = x.to(next(self.parameters()).dtype, memory_format=torch.channels_last)
        for conv in self.stem:
            x = _conv_relu(conv, x)
        return self.blocks(self.maxpool(x))


class FoldedHead(nn.Module):
    """conv5, channels last.

    Args:
        head: what it computes.
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*map(_folded, blocks(head.layer4)))
        self.last_norm = None if head.bn_last is None else _Affine(head.bn_last)

    def forward(self, x: Tensor) -> Tensor:
        """Regions (R, C, h, w) to (R, C', ceil(h / 2), ceil(w / 2)), in the weights' dtype."""
        x = self.blocks(x.to(next(self.parameters()).dtype, memory_format=torch.channels_last))
        return x if self.last_norm is None else cast(Tensor, self.last_norm(x).relu_())


def _folded(block: nn.Module) -> nn.Module:
    """The block folded; a copy of it as it is where it holds what folding does not know."""
    return FoldedBlock(block) if isinstance(block, ResidualBlock) and not _misfit(block) else copied(block)


def _folded_shortcut(shortcut: nn.Module | None) -> nn.Module | None:
    if not isinstance(shortcut, Projection):
        return copy.deepcopy(shortcut)
    conv = _convolution(*fold_projection(shortcut), shortcut.conv)
    return conv if shortcut.pool is None else nn.Sequential(copy.deepcopy(shortcut.pool), conv)


def _misfit(block: nn.Module) -> str:
    return module_misfit(block) or block_misfit(block, FrozenBatchNorm2d, nn.BatchNorm2d)


class _Affine(nn.Module):
    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        scale, shift = (each.to(cast(Tensor, norm.running_mean)) for each in _affine(norm))
        self.register_buffer("scale", scale[:, None, None])
        self.register_buffer("shift", shift[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.scale)


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) of a BN with constant statistics, or of what is in its place, in float64 (see ``in_float64``)."""
    if isinstance(norm, ScaleShift):
        scale, shift = norm.affine()
        return in_float64(scale.detach()), in_float64(shift.detach())
    names = ("weight", "bias", "running_mean", "running_var")
    weight, bias, mean, variance = (in_float64(cast(Tensor, getattr(norm, name)).detach()) for name in names)
    scale = weight * (variance + cast(float, norm.eps)).rsqrt()
    return scale, bias - mean * scale


def _conv_relu(conv: nn.Module, x: Tensor, residual: Tensor | None = None) -> Tensor:
    conv = cast(nn.Conv2d, conv)
    return conv_relu(x, conv.weight, conv.bias, Window.of(conv), residual)


def _convolution(weight: Tensor, bias: Tensor, like: nn.Conv2d) -> nn.Conv2d:
    """A convolution as ``like``, with other numbers, channels last, that does not train."""
    options: dict[str, Any] = {"stride": like.stride, "padding": like.padding, "groups": like.groups, "device": "meta"}
    folded = nn.Conv2d(like.in_channels, like.out_channels, cast(Any, like.kernel_size), **options)
    folded.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
    folded.bias = nn.Parameter(bias, requires_grad=False)
    return folded


def blocks(*stages: nn.Module) -> list[nn.Module]:
    """The blocks of some stages, in order."""
    return [block for stage in stages for block in stage.children()]
