"""Whether two detectors detect the same, however the CPU's kernels round."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torchvision.ops import box_iou

from resdet.structures import Detections

PIXELS, SCORE = 1e-2, 1e-4  # what rounding may change


def same_detections(found: Detections, expected: Mapping[str, Tensor]) -> bool:
    """Whether each detection has one of its class beside it in the other, box and score alike up to rounding.

    Order does not count, and neither do those at the end of a full list, whose rank or threshold rounding may decide.

    Args:
        found: at least one.
        expected: "boxes" (N, 4) ``xyxy`` in pixels of the same image, "scores" and "labels" (N,).
    """
    boxes, scores, labels = (expected[name] for name in ("boxes", "scores", "labels"))
    if not len(found) or not len(boxes):
        return False
    alike = (
        (torch.cdist(found.boxes, boxes, p=torch.inf) <= PIXELS)
        & ((found.scores[:, None] - scores).abs() <= SCORE)
        & (found.labels[:, None] == labels)
    )
    last = max(float(found.scores.min()), float(scores.min())) + SCORE
    return bool((alike.any(1) | (found.scores <= last)).all() and (alike.any(0) | (scores <= last)).all())


def shared(found: Detections, expected: Detections) -> tuple[float, float]:
    """The share of the expected detections that are found too, and the largest difference of a score among those.

    Found is one whose class has a box there that overlaps by half at least; of several the one that overlaps most.
    """
    overlap = box_iou(expected.boxes, found.boxes) * (expected.labels[:, None] == found.labels)
    best, index = overlap.max(1)
    there = best >= 0.5
    difference = (expected.scores - found.scores[index]).abs()[there]
    return float(there.float().mean()), float(difference.max()) if len(difference) else 0.0
