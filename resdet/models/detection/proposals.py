"""From the RPN's scores and deltas to proposals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from resdet.models.detection.box_coder import BoxCoder
from resdet.ops.boxes import clip_boxes
from resdet.ops.nms import top_nms


@dataclass(frozen=True)
class ProposalFilter:
    """How many proposals survive, and how.

    Attributes:
        pre_nms_top_n: best scored anchors that enter NMS.
        post_nms_top_n: proposals kept.
        nms_thresh: proposals that overlap a better one by more are dropped.
        min_size: proposals whose shorter side is not longer than this are dropped, pixels.
    """

    pre_nms_top_n: int
    post_nms_top_n: int
    nms_thresh: float
    min_size: float


@torch.no_grad()
def select_proposals(
    objectness: Tensor, deltas: Tensor, anchors: Tensor, coder: BoxCoder, size: tuple[int, int], keep: ProposalFilter
) -> tuple[Tensor, Tensor]:
    """The proposals of one image, best first; no gradient flows through them (approximate joint training).

    Args:
        objectness: float (A,), logits.
        deltas: float (A, 4), encoded by ``coder``.
        anchors: float (A, 4) ``xyxy``.
        coder: the RPN's box coder.
        size: (height, width) of the image without padding; proposals are clipped to it.
        keep: how many survive.

    Returns:
        boxes float32 (R, 4) ``xyxy`` and their logits float32 (R,), R <= ``keep.post_nms_top_n``.
    """
    scores, order = objectness.float().topk(min(keep.pre_nms_top_n, len(objectness)))
    boxes = clip_boxes(coder.decode(deltas[order], anchors[order]), size)
    usable = torch.isfinite(boxes).all(1) & torch.isfinite(scores) & (boxes[:, 2:] - boxes[:, :2] > keep.min_size).all(1)
    boxes, scores = boxes[usable], scores[usable]
    survivors = top_nms(boxes, scores, keep.nms_thresh, keep.post_nms_top_n)
    return boxes[survivors], scores[survivors]
