"""Non-maximum suppression, hard and soft, per class. Legend: N boxes, float ``xyxy``; IoU decides in float32 at least."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

from resdet.ops.iou import box_iou
from resdet.ops.precision import at_least_float32

SOFT_NMS = ("linear", "gaussian")
_TIMES, _AT_LEAST = 2, 2048  # NMS begins with so many times the wanted boxes, but at least with the second number


def class_nms(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float, top: int) -> Tensor:
    """Indices of the boxes that survive NMS within their class, best score first.

    Args:
        boxes: float (N, 4) ``xyxy``.
        scores: float (N,).
        labels: int64 (N,); boxes of different labels never suppress each other.
        iou: a box that overlaps a better one of its class by more than this, in [0, 1], is dropped. Compared are the IoU,
            rounded to float32, and this number in float64: on a CPU an IoU of 3/10 is more than 0.3, one of 7/10 not more
            than 0.7.
        top: at most this many are kept.
    """
    # NMS decides in float32 wherever the boxes came from: a half-precision IoU flips decisions near the threshold
    boxes, scores = boxes.float(), scores.float()
    return _first_survivors(scores, top, lambda best: batched_nms(boxes[best], scores[best], labels[best], iou))


def top_nms(boxes: Tensor, scores: Tensor, iou: float, top: int) -> Tensor:
    """Indices of at most ``top`` boxes that survive NMS, best score first; boxes of equal score keep their order.

    Args:
        boxes: float32 (N, 4) ``xyxy``, finite.
        scores: float32 (N,), finite.
        iou: a box that overlaps a better one by more than this, in [0, 1], is dropped.
        top: at most this many are kept.
    """
    return _first_survivors(scores, top, lambda best: nms(boxes[best], scores[best], iou))


def _first_survivors(scores: Tensor, top: int, suppress: Callable[[Tensor], Tensor]) -> Tensor:
    """The ``top`` best boxes that ``suppress`` keeps. It is called on no more boxes than needed.

    Only better boxes decide whether a box survives, so the survivors of the best boxes are the first survivors of all boxes.
    ``suppress`` takes indices of boxes, best first, and returns the places of those that survive, best first.
    """
    order = scores.sort(descending=True, stable=True).indices
    count = max(_TIMES * top, _AT_LEAST)
    while count < len(order):
        survivors = suppress(order[:count])
        if len(survivors) >= top:
            return order[survivors[:top]]
        # enough boxes if the same share of the others survives, plus a fifth, because the share shrinks from best to worst
        count = math.ceil(1.2 * count * top / max(len(survivors), 1))
    return order[suppress(order)[:top]]


def soft_nms(
    boxes: Tensor, scores: Tensor, *, method: str, iou: float = 0.5, sigma: float = 0.5, score_thresh: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Soft-NMS of one class: a box that overlaps a better one loses score instead of being dropped (Bodla et al. 2017).

    It takes the best remaining box, multiplies the scores of the others by a factor that depends on their IoU with it, and
    repeats. Among equal scores the first box is taken first.

    Args:
        boxes: float (N, 4) ``xyxy``; boxes that are not finite are left out.
        scores: float (N,); boxes whose score is not finite are left out.
        method: ``"linear"``: the factor is 1 - IoU where the IoU is more than ``iou``, 1 elsewhere; ``"gaussian"``: it is
            exp(-IoU² / ``sigma``) everywhere.
        iou: the threshold of ``"linear"``, in [0, 1].
        sigma: the width of ``"gaussian"``, above 0.
        score_thresh: boxes whose score is or becomes this or less are dropped.

    Returns:
        int64 (n,) indices of the boxes left, in the order of their new scores, best first, and these scores float32 (n,).

    Raises:
        ValueError: for another method.
    """
    if method not in SOFT_NMS:
        raise ValueError(f"'method' of soft_nms must be one of {', '.join(SOFT_NMS)}, got {method!r}")
    left = (torch.isfinite(boxes).all(1) & torch.isfinite(scores) & (scores > score_thresh)).nonzero()[:, 0]
    boxes, scores = at_least_float32(boxes[left]), at_least_float32(scores[left])
    kept, kept_scores = [left[:0]], [scores[:0]]
    while len(left):
        best = scores.argmax()
        kept.append(left[best, None])
        kept_scores.append(scores[best, None])
        overlap = box_iou(boxes[best, None], boxes)[0]
        factor = torch.exp(-overlap.square() / sigma) if method == "gaussian" else torch.where(overlap > iou, 1 - overlap, 1.0)
        scores = scores * factor
        rest = scores > score_thresh
        rest[best] = False
        left, boxes, scores = left[rest], boxes[rest], scores[rest]
    return torch.cat(kept), torch.cat(kept_scores).float()


def class_soft_nms(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    top: int,
    *,
    method: str,
    iou: float = 0.5,
    sigma: float = 0.5,
    score_thresh: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """``soft_nms`` within each class; returns the ``top`` best of all, int64 indices and new scores float32, best first.

    Args:
        boxes: float (N, 4) ``xyxy``.
        scores: float (N,).
        labels: int64 (N,); boxes of different labels do not touch each other's scores.
        top: at most this many are kept.
        method: see ``soft_nms``.
        iou: see ``soft_nms``.
        sigma: see ``soft_nms``.
        score_thresh: see ``soft_nms``.
    """
    kept, lowered = [labels[:0]], [scores[:0].float()]
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        chosen, values = soft_nms(
            boxes[members], scores[members], method=method, iou=iou, sigma=sigma, score_thresh=score_thresh
        )
        kept.append(members[chosen])
        lowered.append(values)
    indices, values = torch.cat(kept), torch.cat(lowered)
    order = values.argsort(descending=True, stable=True)[:top]
    return indices[order], values[order]
