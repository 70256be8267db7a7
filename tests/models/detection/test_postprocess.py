"""From scores and boxes to detections: each choice against loops, the old order of steps against the new."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from resdet.config.schema import DetectionTestConfig
from resdet.models.build.detector import build_postprocess
from resdet.models.detection.postprocess import Postprocess

CLASSES, SIZE = 3, (64, 96)


def postprocess(**options: Any) -> Postprocess:
    return build_postprocess(DetectionTestConfig(**options))


def some(count: int = 40, seed: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 1, 2, generator=generator) * 60 - 5
    corner = corner + torch.rand(count, CLASSES, 2, generator=generator) * 4
    boxes = torch.cat([corner, corner + 10 + torch.rand(count, CLASSES, 2, generator=generator) * 20], dim=2)
    return boxes, torch.rand(count, CLASSES, generator=generator).pow(3)


def clipped(boxes: Tensor) -> Tensor:
    return torch.stack(
        [boxes[..., 0].clamp(0, 96), boxes[..., 1].clamp(0, 64), boxes[..., 2].clamp(0, 96), boxes[..., 3].clamp(0, 64)], -1
    )


def test_one_pass_bit_for_bit() -> None:
    """The steps as they are for one pass: nothing that is switched off may leave a trace."""
    boxes, scores = some()
    found = postprocess(score_thresh=0.1, nms_thresh=0.4, detections_per_image=15)(boxes, scores, SIZE, ("a", "b", "c"))
    region, label = (scores > 0.1).nonzero(as_tuple=True)
    candidates, values = clipped(boxes)[region, label], scores[region, label]
    keep = batched_nms(candidates, values, label, 0.4)[:15]
    assert len(found) == 15
    assert torch.equal(found.boxes, candidates[keep])
    assert torch.equal(found.scores, values[keep])
    assert torch.equal(found.labels, label[keep])
    assert (found.size, found.names) == (SIZE, ("a", "b", "c"))


def test_voting_asks_all_boxes_of_the_class() -> None:
    """Also those below the threshold and beyond the best; scores, labels and their order stay."""
    boxes, scores = some()
    plain, voted = (
        postprocess(score_thresh=0.3, nms_thresh=0.3, detections_per_image=12, vote_iou=vote_iou)(boxes, scores, SIZE)
        for vote_iou in (0.0, 0.5)
    )
    assert torch.equal(voted.scores, plain.scores)
    assert torch.equal(voted.labels, plain.labels)
    assert len(plain) > 5
    below = 0
    for box, label, result in zip(plain.boxes, plain.labels.tolist(), voted.boxes, strict=True):
        candidates, weights = clipped(boxes)[:, label].double(), scores[:, label].double()
        near = box_iou(box[None].double(), candidates)[0] >= 0.5
        below += int((weights[near] <= 0.3).sum())
        expected = sum(w * b for w, b in zip(weights[near], candidates[near], strict=True)) / weights[near].sum()
        torch.testing.assert_close(result, expected.float())
    assert below > 3  # or this would not have been about them


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_nms_in_each_class(method: str) -> None:
    """Held against the definition (Bodla et al. 2017, figure 3), a loop over one class's boxes."""
    boxes, scores = some()
    options = {"score_thresh": 0.1, "nms_thresh": 0.3, "detections_per_image": 20}
    found = postprocess(**options, soft_nms=method, soft_nms_sigma=0.4)(boxes, scores, SIZE)
    rows = []
    for label in range(CLASSES):
        mine = clipped(boxes)[:, label]
        left = {index: float(score) for index, score in enumerate(scores[:, label]) if score > 0.1}
        while left:
            best = max(left, key=lambda index: left[index])
            score = left.pop(best)
            if score > 0.1:
                rows.append((score, label, mine[best].tolist()))
            for index in left:
                iou = float(box_iou(mine[best : best + 1], mine[index : index + 1]))
                left[index] *= math.exp(-(iou**2) / 0.4) if method == "gaussian" else 1 - iou * (iou > 0.3)
    rows = sorted(rows, reverse=True)[:20]
    assert found.scores.tolist() == pytest.approx([score for score, _, _ in rows], rel=1e-5)
    assert found.labels.tolist() == [label for _, label, _ in rows]
    assert found.boxes.tolist() == [box for _, _, box in rows]


@pytest.mark.parametrize("soft", ["none", "linear", "gaussian"])
@pytest.mark.parametrize("vote_iou", [0.0, 0.5])
@pytest.mark.parametrize(
    ("box", "score", "count"),
    [
        ([], [], 0),
        ([[0.0, 0, 10, 10]], [0.05], 0),  # at the threshold
        ([[0.0, 0, 10, 10]], [0.06], 1),
        ([[0.0, 0, 10, 10]], [math.nan], 0),
        ([[0.0, 0, math.nan, 10]], [0.9], 0),
        ([[-1e30, -1e30, 1e30, 1e30]], [0.9], 1),
        ([[0.0, 0, 10, 10]] * 3, [0.9] * 3, 1),
        ([[0.0, 0, 10, 10], [50.0, 50, 60, 60]], [0.9, 0.9], 2),
        ([[200.0, 200, 210, 210]], [0.9], 1),  # outside: clipped to an empty box, which is kept as ever
    ],
)
def test_edge_cases(soft: str, vote_iou: float, box: list, score: list, count: int) -> None:
    boxes = torch.tensor(box).reshape(-1, 1, 4)
    scores = torch.tensor(score).reshape(-1, 1)
    found = postprocess(soft_nms=soft, vote_iou=vote_iou, soft_nms_sigma=0.1, nms_thresh=0.3)(boxes, scores, SIZE)
    assert len(found) == count
    assert found.boxes.isfinite().all()
    assert (found.boxes >= 0).all()
    assert (found.boxes <= torch.tensor([96, 64, 96, 64])).all()
    assert (found.boxes.dtype, found.scores.dtype) == (torch.float32, torch.float32)
