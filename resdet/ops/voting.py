"""Box voting (Gidaris and Komodakis 2015, section 5; paper, appendix B). Legend: N kept boxes, M candidates, of one class."""

from __future__ import annotations

import torch
from torch import Tensor

from resdet.ops.iou import box_iou
from resdet.ops.precision import in_float64


def box_voting(kept: Tensor, boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Each kept box becomes the mean of all candidates that overlap it, weighted by their scores.

    Source: Gidaris and Komodakis, "Object detection via a multi-region & semantic segmentation-aware CNN model", 2015. Unlike
    theirs, the overlap is continuous (no +1), and the weight is the score itself, a probability and not the margin of an SVM.

    Args:
        kept: float (N, 4) ``xyxy``, the candidates that NMS has kept.
        boxes: float (M, 4) ``xyxy``, the candidates before any threshold or NMS.
        scores: float (M,); a candidate votes where its box and its score are finite and the score is above 0.
        iou: a candidate votes for each kept box that it overlaps by at least this, in (0, 1].

    Returns:
        float32 (N, 4); a kept box that no candidate overlaps stays as it is.
    """
    voters = torch.isfinite(boxes).all(1) & torch.isfinite(scores) & (scores > 0)
    # in float64 the mean of equal boxes is exactly that box, and no area is too large
    candidates, weights, own = in_float64(boxes[voters]), in_float64(scores[voters]), in_float64(kept)
    votes = (box_iou(own, candidates) >= iou) * weights
    total = votes.sum(1, keepdim=True)
    return torch.where(total > 0, votes @ candidates / total, own).float().to(kept.device)
