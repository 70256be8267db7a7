"""conv5 on regions: pooled by gathering rows, then matrix products on rows in the order (position, region).

RoIAlign is linear and mixes positions, a 1×1 convolution is linear and mixes channels: one may come before the other. So the
first 1×1 convolution of conv5_1 and its projection run on the C4 map, once, instead of on each region, and what is pooled is
their result; biases and the ReLU come after, for the weights of a bin do not always sum to one. Where a 1×1 has the stride only
the bins that it reads are pooled. A few regions have fewer bins than the map has positions: theirs are pooled first.

Legend: S = n * n positions of conv5's map, R regions of a chunk, C, C' channels of the C4 map and of conv5's, D of the branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.ops import RoIAlign

from resdet.models.backbones.blocks import Bottleneck
from resdet.models.backbones.misfit import bottleneck_misfit
from resdet.models.backbones.shortcuts import Projection
from resdet.models.backbones.split import Head
from resdet.models.detection.conv5_rows import conv5_blocks, conv5_misfit, conv5_on_rows
from resdet.models.detection.prepared.fold import blocks, fold_projection, foldable, folded_convolutions, rows
from resdet.models.detection.prepared.room import Room
from resdet.models.detection.prepared.spatial import region_convolution
from resdet.ops.kernels import Kernels
from resdet.ops.precision import at_least_float32
from resdet.ops.products import product, summed_product
from resdet.ops.roi_rows import joined, terms_of

# regions at a time: enough for products at full speed; few enough for their rows to stay near, and below the 32 MB from
# which on memory is fetched from the system anew each time
CHUNK = 75


class RowsRegions(nn.Module):
    """RoIAlign, conv5 of bottlenecks and the mean over positions.

    Args:
        pooler: with as many bins on both sides.
        head: conv5; both ``fits``.
        dtype: what the products compute in; pooling is in float32 at least.
        kernels: how they are computed.
    """

    def __init__(self, pooler: RoIAlign, head: Head, dtype: torch.dtype, kernels: Kernels) -> None:
        super().__init__()
        first, projection, others = conv5_blocks(head)
        self.dtype = dtype
        self.channels = head.out_channels
        self.first = FirstBlock(first, projection, pooler, dtype, kernels)
        self.others = nn.ModuleList(Block(block, self.first.side, dtype, kernels) for block in others)

    def forward(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Features (N, C, H, W) and N tensors (R_i, 4) ``xyxy`` in pixels to the regions' features (sum of R_i, C')."""
        features = at_least_float32(features)
        regions, image = joined(boxes)
        if not len(regions):
            return features.new_zeros(0, self.channels)
        tables = self.first.tables(features, len(regions))
        chunks = -(-len(regions) // CHUNK)
        room = Room(features.new_empty(0, dtype=self.dtype))
        means = []
        for chunk in zip(regions.tensor_split(chunks), image.tensor_split(chunks), strict=True):
            z = self.first(tables, *chunk, room)
            for block in self.others:
                z = block(z, room)
            means.append(z.mean(0, dtype=features.dtype))
        return torch.cat(means)


def fits(pooler: nn.Module, head: nn.Module) -> bool:
    """Whether ``RowsRegions`` can be made of them."""
    if not isinstance(head, Head) or not conv5_on_rows(pooler, head) or conv5_misfit(pooler, head):
        return False
    return foldable(head.layer4) and not any(map(bottleneck_misfit, blocks(head.layer4)))


class Block(nn.Module):
    """A bottleneck with an identity shortcut, in place.

    Args:
        block: what it computes.
        side: n.
        dtype: of rows and weights.
        kernels: how its products are computed.
    """

    def __init__(self, block: Bottleneck, side: int, dtype: torch.dtype, kernels: Kernels) -> None:
        super().__init__()
        (reduce, bias), spatial, (expand, last) = folded_convolutions(block, dtype)
        self.reduce = product(rows(reduce), bias, kernels)
        self.spatial = region_convolution(*spatial, 1, side, kernels, block.conv2.groups)
        self.expand = summed_product(rows(expand), last, kernels)

    def forward(self, z: Tensor, room: Room) -> Tensor:
        """``z`` (S, R, C') to the result, in its place."""
        hidden = self.reduce(z.flatten(0, 1), relu=True).view(*z.shape[:2], -1)
        self.expand(z.flatten(0, 1), self.spatial(hidden, room).flatten(0, 1))
        return z


class FirstBlock(nn.Module):
    """RoIAlign and conv5_1, a bottleneck whose shortcut is a projection, with the stride 2 in its first 1×1 or its 3×3.

    Attributes:
        side: n, of conv5's map.
    """

    bias: Tensor

    def __init__(
        self, block: Bottleneck, projection: Projection, pooler: RoIAlign, dtype: torch.dtype, kernels: Kernels
    ) -> None:
        super().__init__()
        (reduce, bias), spatial, (expand, last) = folded_convolutions(block, dtype)
        project, shift = fold_projection(projection, dtype)
        self.pooler = pooler
        self.dtype = dtype
        self.step, self.stride = block.conv1.stride[0], block.conv2.stride[0]
        bins = -(-cast(int, pooler.output_size) // self.step)
        self.side = -(-bins // self.stride)
        self.reduce = product(rows(reduce), torch.zeros_like(bias), kernels)
        self.register_buffer("bias", bias)
        self.project = product(rows(project), torch.zeros_like(shift), kernels)
        self.spatial = region_convolution(*spatial, self.stride, bins, kernels, block.conv2.groups)
        self.expand = summed_product(rows(expand), last + shift, kernels)

    def tables(self, features: Tensor, regions: int) -> Tables:
        """What the bins of so many regions are gathered from: the two 1×1 convolutions of the map, or the map itself."""
        table = features.permute(0, 2, 3, 1).flatten(0, 2)
        size = (features.shape[2], features.shape[3])
        if regions * self.side**2 < len(table):
            return Tables(table, table, size, convolved=False)
        table = table.to(self.dtype)
        reduced, projected = at_least_float32(self.reduce(table)), at_least_float32(self.project(table))
        return Tables(reduced, projected, size, convolved=True)

    def forward(self, tables: Tables, boxes: Tensor, image: Tensor, room: Room) -> Tensor:
        """Boxes (R, 4) of the images (R,) to rows (S, R, C')."""
        terms = terms_of(self.pooler, boxes, image, tables.size, tables.reduced.dtype, self.step)
        bins = terms.gather(tables.reduced).to(self.dtype)
        read = bins
        if self.stride > 1:
            terms = terms_of(self.pooler, boxes, image, tables.size, tables.reduced.dtype, self.step * self.stride)
        if self.stride > 1 or tables.convolved:
            read = terms.gather(tables.projected).to(self.dtype)
        reduced, z = (bins, read) if tables.convolved else (self.reduce(bins), self.project(read))
        hidden = reduced.add_(self.bias).relu_().view(-1, len(boxes), len(self.bias))
        self.expand(z, self.spatial(hidden, room).flatten(0, 1))
        return z.view(self.side**2, len(boxes), -1)


@dataclass(frozen=True)
class Tables:
    """Maps as rows (N * H * W, C).

    Attributes:
        reduced, projected: what the branch and the shortcut of conv5_1 are gathered from.
        size: (H, W).
        convolved: whether they are through the 1×1 convolutions.
    """

    reduced: Tensor
    projected: Tensor
    size: tuple[int, int]
    convolved: bool
