"""conv1 … conv4 of bottlenecks on rows: a map is (N, H, W, C), a 1×1 convolution one matrix product.

As in ``region_net`` the constant of a block's last ReLU moves on, ``relu(x + b) = max(x, -b) + b``, into the next block's first
convolution and its sum; the last block's is added to the map. Legend: C, C' channels, D of the branch.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.split import Trunk
from resdet.models.detection.prepared.fold import blocks, fold, fold_projection, folded_convolutions, rows
from resdet.models.detection.prepared.winograd import WinogradConvolution

WINOGRAD_CHANNELS = 128  # with fewer, transforming the map costs more than the products that it saves


class RowsTrunk(nn.Module):
    """The trunk of a post-activation network of bottlenecks.

    Args:
        trunk: one whose blocks ``fits``.
    """

    stem: Tensor
    stem_bias: Tensor
    shift: Tensor

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        stem, bias = fold(trunk.conv1, trunk.bn1)
        self.stride, self.padding = trunk.conv1.stride, trunk.conv1.padding
        self.register_buffer("stem", stem.contiguous(memory_format=torch.channels_last))
        self.register_buffer("stem_bias", bias)
        self.maxpool = copy.deepcopy(trunk.maxpool)
        shift, on_rows = torch.zeros_like(bias), []
        for block in blocks(trunk.layer1, trunk.layer2, trunk.layer3):
            on_rows.append(_Block(block, shift))
            shift = on_rows[-1].shift
        self.blocks = nn.ModuleList(on_rows)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        """Normalized images (N, 3, H, W) to the map (N, C, ceil(H / 16), ceil(W / 16)), channels last."""
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.maxpool(F.conv2d(x, self.stem, self.stem_bias, self.stride, self.padding).relu_())
        z = x.permute(0, 2, 3, 1).contiguous()
        for block in self.blocks:
            z = block(z)
        return z.add_(self.shift).permute(0, 3, 1, 2)


def fits(trunk: nn.Module) -> bool:
    """Whether ``RowsTrunk`` can be made of it: post-activation bottlenecks, projections and identities."""
    return isinstance(trunk, Trunk) and all(
        block.depth == 3 and not block.preactivation and isinstance(block.downsample, (nn.Sequential, nn.Identity))
        for block in blocks(trunk.layer1, trunk.layer2, trunk.layer3)
    )


class _Block(nn.Module):
    """A bottleneck on rows that are to be shifted by a constant.

    Args:
        block: what it computes.
        shift: (C,), of the input.

    Attributes:
        shift: (C',), of the result.
    """

    reduce: Tensor
    constant: Tensor
    expand: Tensor
    shift: Tensor

    def __init__(self, block: ResidualBlock, shift: Tensor) -> None:
        super().__init__()
        (reduce, bias), spatial, (expand, last) = folded_convolutions(block)
        conv1, conv2 = cast(nn.Conv2d, block.conv1), cast(nn.Conv2d, block.conv2)
        self.step, self.stride = conv1.stride[0], conv2.stride[0]
        winograd = self.stride == 1 and conv2.in_channels >= WINOGRAD_CHANNELS
        self.spatial = WinogradConvolution(*spatial) if winograd else _Direct(*spatial, self.stride)
        self.register_buffer("reduce", rows(reduce))
        self.register_buffer("constant", bias + shift @ self.reduce)
        self.register_buffer("expand", rows(expand))
        self.register_buffer("project", None)
        if isinstance(block.downsample, nn.Sequential):
            project, bias = fold_projection(block)
            self.project = rows(project)
            shift = bias + shift @ self.project
        self.register_buffer("shift", shift + last)

    def forward(self, z: Tensor) -> Tensor:
        """(N, H, W, C) to (N, H', W', C'); ``z`` is overwritten."""
        x = z[:, :: self.step, :: self.step]
        hidden = torch.addmm(self.constant, x.reshape(-1, x.shape[-1]), self.reduce).relu_().view(*x.shape[:3], -1)
        hidden = self.spatial(hidden).relu_()
        if self.project is None:
            total = z.view(-1, z.shape[-1])
        else:
            x = x[:, :: self.stride, :: self.stride]
            total = x.reshape(-1, x.shape[-1]) @ self.project
        total.addmm_(hidden.reshape(-1, hidden.shape[-1]), self.expand)
        return torch.maximum(total, -self.shift, out=total).view(*hidden.shape[:3], -1)


class _Direct(nn.Module):
    """A 3×3 convolution with bias by its definition, of (N, H, W, C)."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, self.stride, padding=1).permute(0, 2, 3, 1)
