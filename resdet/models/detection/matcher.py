"""Assigns candidates (anchors or proposals) to ground-truth boxes by overlap.

Legend: A candidates, G ground-truth boxes, I ignore regions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from resdet.ops.iou import box_ioa, box_iou

NEGATIVE = -1
BETWEEN = -2

# G is walked in chunks, so that A × G never stands in memory at once: 240k anchors × 500 objects would take 480 MB, and that
# several times over.
_CHUNK = 16
# A candidate that lies in an ignore region by this share of its own area is no evidence of background (COCO's crowd overlap).
_IGNORE_IOA = 0.5


def match(
    candidates: Tensor, boxes: Tensor, *, fg_iou: float, bg_iou: float, keep_best: bool, ignore: Tensor | None = None
) -> Tensor:
    """Match each candidate to the ground-truth box it overlaps most.

    Args:
        candidates: float (A, 4) ``xyxy``.
        boxes: float (G, 4) ``xyxy``; G may be 0, every candidate is then negative.
        fg_iou: a candidate is positive from this IoU on.
        bg_iou: a candidate is negative below this IoU.
        keep_best: also make positive the candidates that overlap some ground-truth box more than all others do (ties
            included), however little; each stays with the box that it overlaps most (Faster R-CNN, section 3.1.2).
        ignore: float (I, 4) ``xyxy``, crowds and difficult objects: negatives that lie in one become ``BETWEEN``.

    Returns:
        int64 (A,): the index of the matched box, ``NEGATIVE``, or ``BETWEEN`` (neither, left out of the loss).
    """
    best_iou = candidates.new_zeros(len(candidates))
    best_box = torch.zeros(len(candidates), dtype=torch.int64, device=candidates.device)
    is_best = torch.zeros(len(candidates), dtype=torch.bool, device=candidates.device)
    for start in range(0, len(boxes), _CHUNK):
        iou = box_iou(candidates, boxes[start : start + _CHUNK])
        chunk_iou, chunk_box = iou.max(dim=1)
        better = chunk_iou > best_iou
        best_iou = torch.where(better, chunk_iou, best_iou)
        best_box = torch.where(better, chunk_box + start, best_box)
        if keep_best and len(candidates):
            most = iou.amax(dim=0)
            # a box that no candidate touches has no best candidate
            is_best |= ((iou == most) & (most > 0)).any(dim=1)

    matches = torch.full_like(best_box, BETWEEN)
    matches[best_iou < bg_iou] = NEGATIVE
    if ignore is not None and len(ignore):
        for regions in ignore.split(_CHUNK):
            inside = (box_ioa(candidates, regions) >= _IGNORE_IOA).any(dim=1)
            matches[inside & (matches == NEGATIVE)] = BETWEEN
    positive = (best_iou >= fg_iou) & (best_iou > 0) | is_best
    return torch.where(positive, best_box, matches)
