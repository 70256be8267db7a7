"""conv1 … conv4 of bottlenecks on rows: a map is (N, H, W, C), a 1×1 convolution one matrix product.

Legend: C, C' channels, D of the branch.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from resdet.models.backbones.blocks import Bottleneck
from resdet.models.backbones.misfit import bottleneck_misfit
from resdet.models.backbones.shortcuts import Projection
from resdet.models.backbones.split import Trunk
from resdet.models.backbones.stems import stem_layers
from resdet.models.detection.prepared.fold import (
    blocks,
    fold,
    fold_projection,
    foldable,
    folded_convolutions,
    rows,
    trunk_misfit,
)
from resdet.models.detection.prepared.spatial import DirectConvolution, map_convolution
from resdet.ops.kernels import Kernels
from resdet.ops.products import product, summed_product


class RowsTrunk(nn.Module):
    """The trunk of a post-activation network of bottlenecks.

    Args:
        trunk: one whose blocks ``fits``.
        dtype: what it computes in.
        kernels: how its products are computed.
    """

    def __init__(self, trunk: Trunk, dtype: torch.dtype, kernels: Kernels) -> None:
        super().__init__()
        self.dtype = dtype
        self.stem = nn.Sequential(
            *(
                DirectConvolution(*fold(conv, norm, dtype), conv.stride[0], conv.groups)
                for conv, norm in stem_layers(trunk.conv1, trunk.bn1)
            )
        )
        self.maxpool = copy.deepcopy(trunk.maxpool)
        every = blocks(trunk.layer1, trunk.layer2, trunk.layer3)
        self.blocks = nn.ModuleList(RowsBlock(cast(Bottleneck, block), dtype, kernels) for block in every)

    def forward(self, x: Tensor) -> Tensor:
        """Normalized images (N, 3, H, W) to the map (N, C, ceil(H / 16), ceil(W / 16)), channels last."""
        x = x.to(self.dtype, memory_format=torch.channels_last)
        x = self.stem(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        z = self.maxpool(x).permute(0, 2, 3, 1).contiguous()
        for block in self.blocks:
            z = block(z)
        return z.permute(0, 3, 1, 2)


def fits(trunk: nn.Module) -> bool:
    """Whether ``RowsTrunk`` can be made of it: post-activation bottlenecks, projections and identities."""
    return (
        isinstance(trunk, Trunk)
        and not trunk_misfit(trunk)
        and foldable(trunk.layer1, trunk.layer2, trunk.layer3)
        and all(
            not bottleneck_misfit(block) and type(block.downsample) in (Projection, nn.Identity)
            for block in blocks(trunk.layer1, trunk.layer2, trunk.layer3)
        )
    )


class RowsBlock(nn.Module):
    """A bottleneck on rows.

    Args:
        block: what it computes.
        dtype: of rows and weights.
        kernels: how its products are computed.
    """

    def __init__(self, block: Bottleneck, dtype: torch.dtype, kernels: Kernels) -> None:
        super().__init__()
        (reduce, bias), spatial, (expand, last) = folded_convolutions(block, dtype)
        self.step, self.stride = block.conv1.stride[0], block.conv2.stride[0]
        self.reduce = product(rows(reduce), bias, kernels)
        self.spatial = map_convolution(*spatial, self.stride, kernels, block.conv2.groups)
        self.expand = summed_product(rows(expand), last, kernels)
        self.pool: nn.Module | None = None
        self.project: nn.Module | None = None
        if isinstance(block.downsample, Projection):
            self.pool = copy.deepcopy(block.downsample.pool)
            project, shift = fold_projection(block.downsample, dtype)
            self.project = product(rows(project), shift, kernels)

    def forward(self, z: Tensor) -> Tensor:
        """(N, H, W, C) to (N, H', W', C'); ``z`` is overwritten."""
        x = z[:, :: self.step, :: self.step]
        hidden = self.reduce(x.reshape(-1, x.shape[-1]), relu=True).view(*x.shape[:3], -1)
        hidden = self.spatial(hidden)
        if self.project is not None:
            x = self._read(z)
            z = self.project(x.reshape(-1, x.shape[-1])).view(*x.shape[:3], -1)
        self.expand(z.view(-1, z.shape[-1]), hidden.reshape(-1, hidden.shape[-1]))
        return z

    def _read(self, z: Tensor) -> Tensor:
        """What the projection reads: every position that the block keeps, or the averages around them."""
        if self.pool is not None:
            return self.pool(z.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        step = self.step * self.stride
        return z[:, ::step, ::step]
