"""Non-maximum suppression, per class."""

from __future__ import annotations

from torch import Tensor
from torchvision.ops import batched_nms


def class_nms(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float, top: int) -> Tensor:
    """Indices of the boxes that survive NMS within their class, best score first.

    Args:
        boxes: float (N, 4) ``xyxy``.
        scores: float (N,).
        labels: int64 (N,); boxes of different labels never suppress each other.
        iou: a box that overlaps a better one of its class by more than this, in [0, 1], is dropped.
        top: at most this many are kept.
    """
    # NMS decides in float32 wherever the boxes came from: a half-precision IoU flips decisions near the threshold
    return batched_nms(boxes.float(), scores.float(), labels, iou)[:top]
