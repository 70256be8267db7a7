"""RoIAlign as weighted sums of rows.

RoIAlign averages, in each bin, bilinear samples of the map. With features as rows (a position of the map each), a bin is a
weighted sum of some rows. A sample's weight at position (y, x) is a product of a weight of y and one of x, and the samples of a
bin are a grid; hence the sum over the grid is a product too::

    bin[p, q] = sum_y sum_x  Y[p, y] X[q, x]  row[y, x],   Y[p, y] = mean of the weights that the samples of bin row p give to y

so samples that share rows share one term, and only the bins that are asked for cost anything. Samples outside of the map, by
more than a position, count as zero: the weights of a bin do not always sum to one.

Legend: R regions, of any images, P bins a side, B bins asked for, T terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import RoIAlign


@dataclass(frozen=True)
class Terms:
    """The terms of the weighted sum of each bin, bin after bin.

    Attributes:
        rows: int64 (T,), the row of each term.
        weights: (T,), the weight of that row.
        starts: int64 (B,), the first term of each bin.
    """

    rows: Tensor
    weights: Tensor
    starts: Tensor

    def gather(self, table: Tensor) -> Tensor:
        """The bins (B, C) of a map of rows (N * H * W, C)."""
        if not len(self.rows):
            # a sum of no rows is a zero that still has a gradient, which is zero too
            return table[:0].sum(0) + table.new_zeros(len(self.starts), table.shape[1])
        return F.embedding_bag(self.rows, table, self.starts, mode="sum", per_sample_weights=self.weights)


def region_terms(pooler: RoIAlign, boxes: Sequence[Tensor], size: tuple[int, int], dtype: torch.dtype, step: int = 1) -> Terms:
    """``terms_of`` for the boxes (R_i, 4) of each image."""
    return terms_of(pooler, *joined(boxes), size, dtype, step)


def joined(boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Join N tensors (R_i, 4) into one (R, 4); also return the image of each row, (R,)."""
    images = [torch.full((len(each),), index, device=each.device) for index, each in enumerate(boxes)]
    return torch.cat(list(boxes)), torch.cat(images)


def terms_of(pooler: RoIAlign, boxes: Tensor, image: Tensor, size: tuple[int, int], dtype: torch.dtype, step: int = 1) -> Terms:
    """The terms of the bins that ``pooler`` computes for regions, on maps of one size laid out as rows, image after image.

    Args:
        pooler: the RoIAlign, with the same number of bins on both sides.
        boxes: float (R, 4) ``xyxy`` in pixels.
        image: int64 (R,), the image of each region.
        size: (height, width) of the maps.
        dtype: the dtype of the maps and of the weights.
        step: only bins 0, step, 2 * step … of both sides are computed.

    Returns:
        Terms of B = p * p * R bins, ordered (bin row, bin column, region), p = ceil(P / step).
    """
    boxes = boxes.to(dtype)
    first_y, along_y = _axis_weights(pooler, boxes[:, 1], boxes[:, 3], size[0], step)
    first_x, along_x = _axis_weights(pooler, boxes[:, 0], boxes[:, 2], size[1], step)
    # (p, 1, R, a, 1) and (1, p, R, 1, b): the products below are (p, p, R, a, b)
    weights = along_y[:, None, :, :, None] * along_x[None, :, :, None, :]
    y = (image * size[0] + first_y)[..., None] + torch.arange(along_y.shape[-1], device=boxes.device)
    x = first_x[..., None] + torch.arange(along_x.shape[-1], device=boxes.device)
    rows = (y * size[1])[:, None, :, :, None] + x[None, :, :, None, :]
    used = weights != 0
    counts = used.flatten(3).sum(3).flatten()
    return Terms(rows[used], weights[used], counts.cumsum(0) - counts)


def _axis_weights(pooler: RoIAlign, low: Tensor, high: Tensor, length: int, step: int) -> tuple[Tensor, Tensor]:
    """Along one axis, the first position of each bin (p, R), and the weights (p, R, a) of it and of the a - 1 after it."""
    side = pooler.output_size if isinstance(pooler.output_size, int) else pooler.output_size[0]
    shift = 0.5 if pooler.aligned else 0.0
    start = low * pooler.spatial_scale - shift
    extent = high * pooler.spatial_scale - shift - start
    if not pooler.aligned:
        extent = extent.clamp(min=1.0)
    bin_size = extent / side
    adaptive = pooler.sampling_ratio <= 0
    samples = bin_size.ceil().clamp(min=0) if adaptive else torch.full_like(extent, pooler.sampling_ratio)
    # the places of the samples: (p, R, s)
    count = max(int(samples.max()) if len(samples) else 0, 1)
    number = torch.arange(count, device=low.device)
    bins = torch.arange(0, side, step, device=low.device)
    position = (
        start[:, None] + (bins[:, None] * bin_size)[..., None] + (number + 0.5) * (bin_size / samples.clamp(min=1))[:, None]
    )
    counts = (number < samples[:, None]) & (position >= -1) & (position <= length)
    position = position.clamp(0, length - 1)
    lower = position.floor()
    upper_weight = position - lower
    share = counts / samples.clamp(min=1)[:, None]
    lower = lower.long()
    # the weights of all samples of a bin, at the positions from the first one on
    first = torch.where(counts, lower, length - 1).amin(2)
    offset = torch.where(counts, lower - first[..., None], 0)
    span = int(offset.max()) + 2 if offset.numel() else 2
    weights = share.new_zeros(*first.shape, span)
    weights.scatter_add_(2, offset, share * (1 - upper_weight)).scatter_add_(2, offset + 1, share * upper_weight)
    # at the last position the upper weight is 0, and so is every weight past it
    return first, weights
