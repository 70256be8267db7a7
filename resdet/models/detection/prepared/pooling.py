"""Pooling of regions in the map's own number format where there is a kernel for it."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision.ops import RoIAlign

from resdet.ops.gpu_kernels import has_gpu_kernels
from resdet.ops.precision import at_least_float32


def pool(pooler: nn.Module, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
    """The regions of maps as ``pooler`` computes them, in float32 at least or, on a GPU, in the map's own number format.

    Args:
        pooler: RoIAlign or RoIPool.
        features: (N, C, H, W).
        boxes: float (R, 4) ``xyxy``, pixels.
        image: int64 (R,), the image of each.

    Returns:
        (R, C, h, w).
    """
    if type(pooler) is RoIAlign and pooler.aligned and features.dtype.itemsize <= 4 and has_gpu_kernels(features):
        from resdet.ops.triton_roi_align import roi_align

        align: Any = pooler  # its numbers, which torch's modules declare to be tensors
        size = align.output_size
        height, width = (size, size) if isinstance(size, int) else size
        return roi_align(features, boxes.float(), image, (height, width), align.spatial_scale, align.sampling_ratio)
    return cast(Tensor, pooler(at_least_float32(features), torch.cat([image[:, None].to(boxes), boxes], 1)))
