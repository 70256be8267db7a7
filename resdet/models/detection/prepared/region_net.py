"""conv5 on regions: pooled by gathering rows, then matrix products on rows in the order (position, region).

RoIAlign is linear and mixes positions, a 1×1 convolution is linear and mixes channels: one may come before the other. So the
first 1×1 convolution of conv5_1 and its projection run on the C4 map, once, instead of on each region, and what is pooled is
their result; biases and the ReLU come after, for the weights of a bin do not always sum to one. Where a 1×1 has the stride only
the bins that it reads are pooled. A few regions have fewer bins than the map has positions: theirs are pooled first.

With ``relu(x + b) = max(x, -b) + b`` the constant ``b`` of a ReLU moves on through what is linear: a block's sum, the 1×1 after
it (``W (z + b) = W z + W b``), the transform of a 3×3, the mean of the positions. All that is left of a block's BN and ReLU is
one ``max`` in place.

Legend: S = n * n positions of conv5's map, R regions of a chunk, C, C' channels of the C4 map and of conv5's, D of the branch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import RoIAlign

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.split import Head
from resdet.models.detection.prepared.fold import fold_projection, folded_convolutions, rows
from resdet.models.detection.prepared.fourier import FourierConvolution
from resdet.models.detection.prepared.room import Room
from resdet.ops.roi_rows import joined, terms_of

CHUNK = 100  # regions at a time: enough for matrix products at full speed, few enough for their rows to stay near


class RegionNet(nn.Module):
    """RoIAlign, conv5 of bottlenecks and the mean over positions.

    Args:
        pooler: with as many bins on both sides.
        head: conv5; ``conv5_on_rows`` holds for both.
    """

    shift: Tensor

    def __init__(self, pooler: RoIAlign, head: Head) -> None:
        super().__init__()
        first, *others = (cast(ResidualBlock, block) for block in head.layer4)
        self.first = FirstBlock(first, pooler)
        shift, blocks = self.first.shift, []
        for block in others:
            blocks.append(Block(block, shift, self.first.side))
            shift = blocks[-1].shift
        self.others = nn.ModuleList(blocks)
        self.register_buffer("shift", shift)

    def forward(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Features (N, C, H, W) and N tensors (R_i, 4) ``xyxy`` in pixels to the regions' features (sum of R_i, C')."""
        regions, image = joined(boxes)
        if not len(regions):
            return features.new_zeros(0, len(self.shift))
        tables = self.first.tables(features, len(regions))
        chunks = -(-len(regions) // CHUNK)
        room = Room(features)
        means = []
        for chunk in zip(regions.tensor_split(chunks), image.tensor_split(chunks), strict=True):
            z = self.first(tables, *chunk, room)
            for block in self.others:
                z = block(z, room)
            means.append(z.mean(0) + self.shift)
        return torch.cat(means)


class Block(nn.Module):
    """A bottleneck with an identity shortcut, in place on rows that are to be shifted by a constant.

    Args:
        block: what it computes.
        shift: (C',), of the input.
        side: n.

    Attributes:
        shift: (C',), of the result.
    """

    reduce: Tensor
    constant: Tensor
    expand: Tensor
    shift: Tensor

    def __init__(self, block: ResidualBlock, shift: Tensor, side: int) -> None:
        super().__init__()
        (reduce, bias), spatial, (expand, last) = folded_convolutions(block)
        self.spatial = FourierConvolution(*spatial, side)
        self.register_buffer("reduce", rows(reduce))
        self.register_buffer("constant", bias + shift @ self.reduce)
        self.register_buffer("expand", rows(expand))
        self.register_buffer("shift", shift + last)

    def forward(self, z: Tensor, room: Room) -> Tensor:
        """``z`` (S, R, C') to the result, in its place."""
        hidden = room("hidden", len(z) + 1, z.shape[1], len(self.constant))
        torch.mm(z.flatten(0, 1), self.reduce, out=hidden[:-1].flatten(0, 1))
        shifted_relu(hidden[:-1], self.constant)
        hidden[-1] = self.constant
        z.flatten(0, 1).addmm_(self.spatial(hidden, room).relu_().flatten(0, 1), self.expand)
        return shifted_relu(z, self.shift)


class FirstBlock(nn.Module):
    """RoIAlign and conv5_1, a bottleneck whose shortcut is a projection, with the stride 2 in its first 1×1 or its 3×3.

    Attributes:
        side: n, of conv5's map.
        shift: (C',), of the result.
    """

    reduce: Tensor
    constant: Tensor
    project: Tensor
    expand: Tensor
    shift: Tensor

    def __init__(self, block: ResidualBlock, pooler: RoIAlign) -> None:
        super().__init__()
        (reduce, bias), spatial, (expand, last) = folded_convolutions(block)
        project, shift = fold_projection(block)
        self.pooler = pooler
        conv1, conv2 = cast(nn.Conv2d, block.conv1), cast(nn.Conv2d, block.conv2)
        self.step, self.stride = conv1.stride[0], conv2.stride[0]
        self.side = -(-pooler.output_size // (self.step * self.stride))
        self.spatial = (
            FourierConvolution(*spatial, self.side) if self.stride == 1 else StridedConvolution(*spatial, self.stride)
        )
        self.register_buffer("reduce", rows(reduce))
        self.register_buffer("constant", bias)
        self.register_buffer("project", rows(project))
        self.register_buffer("expand", rows(expand))
        self.register_buffer("shift", shift + last)

    def tables(self, features: Tensor, regions: int) -> Tables:
        """What the bins of so many regions are gathered from: the two 1×1 convolutions of the map, or the map itself."""
        table = features.permute(0, 2, 3, 1).flatten(0, 2)
        size = (features.shape[2], features.shape[3])
        if regions * self.side**2 < len(table):
            return Tables(table, table, size, convolved=False)
        return Tables(table @ self.reduce, table @ self.project, size, convolved=True)

    def forward(self, tables: Tables, boxes: Tensor, image: Tensor, room: Room) -> Tensor:
        """Boxes (R, 4) of the images (R,) to rows (S, R, C') that are to be shifted."""
        terms = terms_of(self.pooler, boxes, image, tables.size, tables.reduced.dtype, self.step)
        bins = terms.gather(tables.reduced)
        read = bins
        if self.stride > 1:
            terms = terms_of(self.pooler, boxes, image, tables.size, tables.reduced.dtype, self.step * self.stride)
        if self.stride > 1 or tables.convolved:
            read = terms.gather(tables.projected)
        reduced, z = (bins, read) if tables.convolved else (bins @ self.reduce, read @ self.project)
        hidden = room("hidden", len(reduced) // len(boxes) + 1, len(boxes), len(self.constant))
        torch.maximum(reduced.view_as(hidden[:-1]), -self.constant, out=hidden[:-1])
        hidden[-1] = self.constant
        z = z.addmm_(self.spatial(hidden, room).relu_().flatten(0, 1), self.expand)
        return shifted_relu(z.view(self.side**2, len(boxes), -1), self.shift)


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


def shifted_relu(z: Tensor, shift: Tensor) -> Tensor:
    """``relu(z + shift) - shift`` in the place of ``z`` (..., C)."""
    return torch.maximum(z, -shift, out=z)


class StridedConvolution(nn.Module):
    """A 3×3 convolution with bias, a stride and a border of zeros, on P×P maps in the order (position, region).

    Args:
        weight: (D, D, 3, 3).
        bias: (D,).
        stride: of both sides.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def forward(self, maps: Tensor, room: Room) -> Tensor:
        """Convolve (P * P + 1, R, D), of which the last row is added to all others, to (S, R, D)."""
        side = math.isqrt(len(maps) - 1)
        x = torch.add(maps[:-1], maps[-1], out=room("shifted", *maps[:-1].shape))
        x = x.unflatten(0, (side, side)).permute(2, 3, 0, 1)
        out = F.conv2d(x.contiguous(memory_format=torch.channels_last), self.weight, self.bias, self.stride, padding=1)
        return out.permute(2, 3, 0, 1).flatten(0, 1).contiguous()
