"""Boxes: float ``xyxy`` in pixels, continuous, no +1 (a box's width is x2 - x1).

Legend: N boxes, (H, W) the image's height and width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def box_area(boxes: Tensor) -> Tensor:
    """Areas (...,) in square pixels of boxes (..., 4) ``xyxy``; negative when a corner is out of order."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def xywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Turn (N, 4) ``(x, y, width, height)``, as COCO files hold them, into ``xyxy``."""
    return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)


def xyxy_to_xywh(boxes: Tensor) -> Tensor:
    """Turn (N, 4) ``xyxy`` into ``(x, y, width, height)``."""
    return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Clip boxes (..., 4) ``xyxy`` to an image of ``size`` (H, W): x into [0, W], y into [0, H]."""
    height, width = size
    clipped = boxes.clamp(min=0)
    # numbers in place of a tensor, for which a device's host would wait
    clipped[..., 0::2].clamp_(max=width)
    clipped[..., 1::2].clamp_(max=height)
    return clipped


def mirror_boxes(boxes: Tensor, width: int) -> Tensor:
    """Boxes (..., 4) ``xyxy`` as they lie in the mirror image of a picture ``width`` pixels wide."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


def scale_boxes(boxes: Tensor, source: tuple[int, int], destination: tuple[int, int]) -> Tensor:
    """Map boxes (N, 4) from an image of ``source`` (H, W) to the same image resized to ``destination`` (H, W)."""
    sx, sy = destination[1] / source[1], destination[0] / source[0]
    return boxes * boxes.new_tensor([sx, sy, sx, sy])
