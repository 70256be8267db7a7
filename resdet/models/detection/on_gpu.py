"""Proposals and detections of all images of a batch at once, for GPUs: few launches, and the host waits for counts alone.

The same as ``select_proposals`` and ``Postprocess``, which stay the reference, image by image. Where scores are equal the
order may differ.

Legend: B images, A anchors of an image, R regions of all images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from resdet.models.detection.box_coder import BoxCoder
from resdet.models.detection.proposals import ProposalFilter
from resdet.ops.triton_nms import batched_top_nms
from resdet.structures.moving import moved

MOST = 4096  # boxes of an image that enter class-wise NMS; where they are not enough, the reference takes them all


@torch.no_grad()
def batched_proposals(
    objectness: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    coder: BoxCoder,
    sizes: Sequence[tuple[int, int]],
    keep: ProposalFilter,
) -> list[tuple[Tensor, Tensor]]:
    """``select_proposals`` of each image, from logits (B, A) and deltas (B, A, 4)."""
    scores, order = objectness.float().topk(min(keep.pre_nms_top_n, objectness.shape[1]), dim=1)
    boxes = _clip(coder.decode(_rows(deltas, order), anchors[order]), _limits(sizes, scores.device)[:, None])
    usable = torch.isfinite(boxes).all(2) & torch.isfinite(scores) & (boxes[..., 2:] - boxes[..., :2] > keep.min_size).all(2)
    survivors, counts = batched_top_nms(boxes, usable, keep.nms_thresh, keep.post_nms_top_n)
    kept = zip(_rows(boxes, survivors), scores.gather(1, survivors), counts.tolist(), strict=True)
    return [(own[:count], own_scores[:count]) for own, own_scores, count in kept]


@torch.no_grad()
def batched_detections(
    boxes: Tensor,
    scores: Tensor,
    regions: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    *,
    score_thresh: float,
    nms_thresh: float,
    top: int,
) -> list[tuple[Tensor, Tensor, Tensor] | None]:
    """Boxes, scores and labels of each image's detections after class-wise NMS, best first.

    Args:
        boxes: float32 (R, K, 4) ``xyxy``, those of an image behind those of the one before.
        scores: float32 (R, K).
        regions: how many of the R each image has.
        sizes: (height, width) of each image; its boxes are clipped to it.
        score_thresh: detections score more than this.
        nms_thresh: as in ``Postprocess``.
        top: best scored detections kept of an image.

    Returns:
        None for an image of which ``MOST`` boxes do not tell.
    """
    classes = scores.shape[1]
    counts = moved(torch.tensor(regions), scores.device)
    limits = _limits(sizes, scores.device).repeat_interleave(counts, 0, output_size=len(scores))
    boxes = _clip(boxes, limits[:, None])
    usable = (scores > score_thresh) & torch.isfinite(boxes).all(2)
    ranked = pad_sequence(list(scores.where(usable, -1.0).split(list(regions))), batch_first=True, padding_value=-1.0).flatten(
        1
    )
    wanted = (ranked >= 0).sum(1).tolist()
    scores, place = ranked.topk(min(max(wanted), MOST), dim=1)
    # behind an image's last box with a score, places are of any boxes, and may be beyond the last
    first = (counts.cumsum(0) - counts) * classes
    boxes = boxes.flatten(0, 1)[(first[:, None] + place).clamp(max=len(limits) * classes - 1)]
    labels = place % classes
    survivors, kept = batched_top_nms(boxes, scores >= 0, nms_thresh, top, labels)
    found = zip(_rows(boxes, survivors), scores.gather(1, survivors), labels.gather(1, survivors), strict=True)
    return [
        None if count < top and most > MOST else (own[:count], own_scores[:count], own_labels[:count])
        for (own, own_scores, own_labels), count, most in zip(found, kept.tolist(), wanted, strict=True)
    ]


def _limits(sizes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """Of each image the largest x1, y1, x2 and y2, float32 (B, 4), without waiting for the device."""
    return moved(torch.tensor([(width, height) * 2 for height, width in sizes], dtype=torch.float32), device)


def _clip(boxes: Tensor, limits: Tensor) -> Tensor:
    return boxes.clamp(min=0).minimum(limits)


def _rows(x: Tensor, index: Tensor) -> Tensor:
    """Of each image so many rows of x (B, N, 4), int64 (B, n)."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
