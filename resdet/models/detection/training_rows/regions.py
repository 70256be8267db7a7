"""The region classifier in training, from the C4 map to a feature a region, on rows in the order (position, region).

RoIAlign is linear and mixes positions, a 1×1 convolution is linear and mixes channels: one may come before the other. So the
two 1×1 convolutions that read the pooled map, conv5_1's first and its projection, run on the C4 map, once, instead of on each
region, and their results are pooled, at the positions that are read; shifts and the ReLU come after. The way back is as short.

Legend: S = n * n positions of conv5's map, R regions of all images together, C, C' channels of the C4 map and of conv5's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torchvision.ops import RoIAlign

from resdet.models.backbones.blocks import Bottleneck
from resdet.models.backbones.misfit import bottleneck_misfit
from resdet.models.backbones.recompute import recomputed
from resdet.models.backbones.split import Head
from resdet.models.detection.conv5_rows import conv5_blocks, conv5_misfit, conv5_on_rows
from resdet.models.detection.roi_heads import RoIHeads
from resdet.models.detection.training_rows.block import TrainingBlock
from resdet.models.detection.training_rows.conv import conv_on_rows, tensor_misfit
from resdet.models.detection.training_rows.part import TrainingPart
from resdet.ops.fourier import Fourier
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.ops.fused_conv import Pointwise, Product, fused_conv
from resdet.ops.matmul import Matmul
from resdet.ops.roi_rows import region_terms


class TrainingRoIHeads(TrainingPart, RoIHeads):
    """The region classifier, with the short way to the regions' features where it fits."""

    def region_features(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """As the plain heads'."""
        fits = not tensor_misfit(features) and conv5_on_rows(self.pooler, self.res5)
        if not fits or self.plainly(self._misfit()):
            return super().region_features(features, boxes)
        return train_region_features(cast(RoIAlign, self.pooler), cast(Head, self.res5), features, boxes, self.matmul)

    def _misfit(self) -> str:
        head = cast(Head, self.res5)
        return conv5_misfit(self.pooler, head) or next(filter(None, map(_block_misfit, head.layer4)), "")


def _block_misfit(block: nn.Module) -> str:
    return block.misfit() or bottleneck_misfit(block) if isinstance(block, TrainingBlock) else f"a {type(block).__name__}"


def train_region_features(pooler: RoIAlign, head: Head, features: Tensor, boxes: Sequence[Tensor], matmul: Matmul) -> Tensor:
    """Pooling, conv5 and the mean over positions: features (N, C, H, W) and N tensors (R_i, 4) ``xyxy`` to (R, C')."""
    first, projection, others = conv5_blocks(head)
    residual = _pooled(features, pooler, boxes, projection.conv, projection.norm, matmul=matmul)
    out = _pooled(features, pooler, boxes, first.conv1, first.bn1, matmul=matmul).relu_()
    product = Fourier(residual.shape[0], features, matmul)
    out = _spatial(out, first, product, matmul)
    out = _fused(out, first.conv3, first.bn3, Pointwise(matmul), residual.flatten(0, 1))
    for block in others:
        out = recomputed(block, _block, out, block, product, matmul) if block.recompute else _block(out, block, product, matmul)
    return out.mean(0)


def _pooled(
    features: Tensor, pooler: RoIAlign, boxes: Sequence[Tensor], conv: nn.Conv2d, norm: nn.Module | None, *, matmul: Matmul
) -> Tensor:
    """What a 1×1 convolution with K channels out and its BN read of the pooled map, (n, n, R, K) for its stride."""
    stride = conv.stride[0]
    scale, shift = _affine(norm)
    table = fused_conv(features.permute(0, 2, 3, 1).flatten(0, 2), conv.weight, Pointwise(matmul), scale=scale, relu=False)
    terms = region_terms(pooler, boxes, (features.shape[2], features.shape[3]), features.dtype, stride)
    bins = -(-cast(int, pooler.output_size) // stride)
    return terms.gather(table).add_(shift).view(bins, bins, sum(map(len, boxes)), len(scale))


def _block(rows: Tensor, block: Bottleneck, product: Fourier, matmul: Matmul) -> Tensor:
    inner = _fused(rows, block.conv1, block.bn1, Pointwise(matmul))
    side = math.isqrt(len(rows))
    inner = _spatial(inner.unflatten(0, (side, side)), block, product, matmul)
    return _fused(inner, block.conv3, block.bn3, Pointwise(matmul), rows)


def _spatial(maps: Tensor, block: Bottleneck, product: Fourier, matmul: Matmul) -> Tensor:
    """A block's 3×3, from (n, n, R, D) to (S, R, D)."""
    if block.conv2.stride[0] == 1 and block.conv2.groups == 1:
        return _fused(maps.flatten(0, 1), block.conv2, block.bn2, product)
    found = conv_on_rows(maps.permute(2, 0, 1, 3), block.conv2, block.bn2, matmul)
    return found.permute(1, 2, 0, 3).flatten(0, 1)


def _fused(rows: Tensor, conv: nn.Conv2d, norm: nn.Module, product: Product, residual: Tensor | None = None) -> Tensor:
    scale, shift = _affine(norm)
    return fused_conv(rows, conv.weight, product, scale=scale, shift=shift, residual=residual)


def _affine(norm: nn.Module | None) -> tuple[Tensor, Tensor]:
    return cast(FrozenBatchNorm2d, norm).affine()
