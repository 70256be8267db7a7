"""Overlaps of boxes. Legend: N and M boxes, float ``xyxy``, continuous (no +1); dimensions before these broadcast."""

from __future__ import annotations

import torch
from torch import Tensor

from resdet.ops.boxes import box_area


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union (..., N, M) in [0, 1] of boxes (..., N, 4) and others (..., M, 4); 0 where both are empty."""
    intersection = _intersection(boxes, others)
    union = box_area(boxes)[..., :, None] + box_area(others)[..., None, :] - intersection
    return torch.where(union > 0, intersection / union, 0)


def box_ioa(boxes: Tensor, regions: Tensor) -> Tensor:
    """Share (..., N, M) in [0, 1] of a box's own area in each region, COCO's overlap with a crowd; 0 for empty boxes."""
    area = box_area(boxes)[..., :, None]
    return torch.where(area > 0, _intersection(boxes, regions) / area, 0)


def _intersection(boxes: Tensor, others: Tensor) -> Tensor:
    return _overlap(boxes, others, 0) * _overlap(boxes, others, 1)


def _overlap(boxes: Tensor, others: Tensor, axis: int) -> Tensor:
    """The length of the overlap along x (0) or y (1), (..., N, M)."""
    end = torch.minimum(boxes[..., :, None, axis + 2], others[..., None, :, axis + 2])
    return (end - torch.maximum(boxes[..., :, None, axis], others[..., None, :, axis])).clamp_(min=0)
