"""Assigns candidates (anchors or proposals) to ground-truth boxes by overlap.

Legend: A candidates, G ground-truth boxes, I ignore regions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from resdet.ops.iou import box_ioa, box_iou

NEGATIVE = -1
BETWEEN = -2

# G is walked in chunks of so many overlaps, 2 MB: 240k anchors × 500 objects would take 480 MB, and that several times over.
_OVERLAPS = 2**19
# A candidate that lies in an ignore region by this share of its own area is no evidence of background (COCO's crowd overlap).
_IGNORE_IOA = 0.5


def match(
    candidates: Tensor,
    boxes: Tensor,
    *,
    fg_iou_thresh: float,
    bg_iou_thresh: float,
    keep_best: bool,
    ignore: Tensor | None = None,
) -> Tensor:
    """Match each candidate to the ground-truth box it overlaps most, in one image or in a batch of them.

    Args:
        candidates: float (..., A, 4) ``xyxy``; (A, 4) are the same in all images.
        boxes: float (..., G, 4) ``xyxy``; G may be 0, every candidate is then negative. An empty box is nobody's match.
        fg_iou_thresh: a candidate is positive from this IoU on.
        bg_iou_thresh: a candidate is negative below this IoU.
        keep_best: also make positive the candidates that overlap some ground-truth box more than all others do (ties
            included), however little; each stays with the box that it overlaps most (Faster R-CNN, section 3.1.2).
        ignore: float (..., I, 4) ``xyxy``, crowds and difficult objects: negatives that lie in one become ``BETWEEN``.

    Returns:
        int64 (..., A): the index of the matched box, ``NEGATIVE``, or ``BETWEEN`` (neither, left out of the loss).
    """
    shape = torch.broadcast_shapes(candidates.shape[:-1], (*boxes.shape[:-2], 1))
    best_iou = candidates.new_zeros(shape)
    best_box = torch.zeros(shape, dtype=torch.int64, device=candidates.device)
    is_best = torch.zeros(shape, dtype=torch.bool, device=candidates.device)
    chunk = max(_OVERLAPS // max(shape.numel(), 1), 1)
    for start in range(0, boxes.shape[-2], chunk):
        iou = box_iou(boxes[..., start : start + chunk, :], candidates)
        chunk_iou, chunk_box = iou.max(dim=-2)
        better = chunk_iou > best_iou
        best_iou = torch.where(better, chunk_iou, best_iou)
        best_box = torch.where(better, chunk_box + start, best_box)
        if keep_best and iou.numel():
            most = iou.amax(dim=-1, keepdim=True)
            # a box that no candidate touches has no best candidate
            is_best |= ((iou == most) & (most > 0)).any(dim=-2)

    negative = best_iou < bg_iou_thresh
    for regions in () if ignore is None or not ignore.shape[-2] else ignore.split(chunk, dim=-2):
        negative &= ~(box_ioa(candidates, regions) >= _IGNORE_IOA).any(dim=-1)
    positive = (best_iou >= fg_iou_thresh) & (best_iou > 0) | is_best
    return torch.where(positive, best_box, torch.where(negative, NEGATIVE, BETWEEN))
