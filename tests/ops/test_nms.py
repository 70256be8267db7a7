import math

import numpy as np
import pytest
import torch
from torchvision.ops import nms

from resdet.ops import nms as ops_nms
from resdet.ops.iou import box_iou
from resdet.ops.nms import class_nms, class_soft_nms, soft_nms, top_nms


def greedy(boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor, iou: float, top: int) -> list[int]:
    """The definition, one pair at a time."""
    overlaps = box_iou(boxes.double(), boxes.double())
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if all(labels[index] != labels[other] or overlaps[index, other] <= iou for other in kept):
            kept.append(index)
    return kept[:top]


def test_equals_the_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    for count in (0, 1, 7, 60):
        corner = torch.rand(count, 2, generator=generator) * 50
        boxes = torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=generator) * 40], dim=1)
        scores = torch.rand(count, generator=generator)
        labels = torch.randint(0, 3, (count,), generator=generator)
        for top in (5, 100):
            assert class_nms(boxes, scores, labels, 0.5, top).tolist() == greedy(boxes, scores, labels, 0.5, top)


def test_an_overlap_equal_to_the_threshold_stays() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])  # IoU is 0.5 exactly
    scores, labels = torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.int64)
    assert class_nms(boxes, scores, labels, 0.5, 10).tolist() == [0, 1]
    assert class_nms(boxes, scores, labels, 0.49, 10).tolist() == [0]


@pytest.mark.parametrize("tenths", range(1, 10))
def test_an_overlap_is_compared_as_float32_with_the_threshold_in_float64(tenths: int) -> None:
    """An IoU of 3/10 is more than 0.3, for float32's 0.3 is; one of 7/10 is not."""
    boxes = torch.tensor([[0.0, 0, 10, 1], [0, 0, tenths, 1]])
    dropped = float(np.float32(tenths) / np.float32(10)) > tenths / 10
    found = class_nms(boxes, torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.int64), tenths / 10, 10)
    assert found.tolist() == ([0] if dropped else [0, 1])


@pytest.mark.parametrize("count", [0, 1, 30, 31, 200, 1000])
@pytest.mark.parametrize("spread", [4, 60, 2000])  # few survivors, some, nearly all
@pytest.mark.parametrize("top", [1, 10, 15, 300])
def test_the_first_survivors_of_many_boxes(count: int, spread: float, top: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops_nms, "_AT_LEAST", 30)
    generator = torch.Generator().manual_seed(count)
    corner = torch.rand(count, 2, generator=generator) * spread
    boxes = torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=generator) * 10], dim=1)
    scores = torch.randint(0, max(1, count // 3), (count,), generator=generator).float()  # ties
    labels = torch.randint(0, 3, (count,), generator=generator)
    assert torch.equal(top_nms(boxes, scores, 0.4, top), nms(boxes, scores, 0.4)[:top])
    found = class_nms(boxes, scores, labels, 0.4, top)
    mine = [members[nms(boxes[members], scores[members], 0.4)] for members in ((labels == k).nonzero()[:, 0] for k in range(3))]
    kept = torch.cat(mine).sort().values
    assert torch.equal(scores[found], scores[kept].sort(descending=True).values[:top])
    assert set(found.tolist()) <= set(kept.tolist())
    assert len(set(found.tolist())) == len(found)


def test_no_more_boxes_are_looked_at_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(ops_nms, "nms", lambda boxes, *rest: (seen.append(len(boxes)), nms(boxes, *rest))[1])
    corner = torch.arange(9000.0)[:, None] * 20
    apart = torch.cat([corner, corner, corner + 10, corner + 10], dim=1)
    assert top_nms(apart, torch.arange(9000.0), 0.5, 300).tolist() == list(range(8999, 8699, -1))
    one = torch.tensor([[0.0, 0, 10, 10]]).expand(9000, 4)
    assert top_nms(one, torch.ones(9000), 0.5, 300).tolist() == [0]
    # every box three times: a third of the first 4000 survives, 1.2 times as many as are needed at that rate come next
    thrice = apart[:3000].repeat(3, 1)
    assert len(top_nms(thrice, torch.arange(9000.0) % 3000, 0.5, 2000)) == 2000
    assert seen == [2048, 2048, 9000, 4000, 7197]


# --------------------------------------------------------------------------------------------------------------- soft NMS


def softened(
    boxes: torch.Tensor, scores: torch.Tensor, method: str, iou: float, sigma: float, thresh: float
) -> list[tuple[int, float]]:
    """The published loop, in Python's floats: take the best, lower the rest, drop what is not above the threshold."""
    overlaps = box_iou(boxes.double(), boxes.double()).tolist()
    left = {index: score for index, score in enumerate(scores.double().tolist()) if score > thresh}
    taken = []
    while left:
        best = max(left, key=lambda index: (left[index], -index))
        taken.append((best, left.pop(best)))
        for index in left:
            overlap = overlaps[best][index]
            if method == "gaussian":
                left[index] *= math.exp(-overlap * overlap / sigma)
            elif overlap > iou:
                left[index] *= 1 - overlap
        left = {index: score for index, score in left.items() if score > thresh}
    return taken


def random_boxes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 50
    boxes = torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=generator) * 40], dim=1)
    return boxes, torch.rand(count, generator=generator)


@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
@pytest.mark.parametrize(("iou", "sigma", "thresh"), [(0.3, 0.5, 0.0), (0.5, 0.1, 0.05), (0.0, 3.0, 0.3), (1.0, 0.5, 0.9)])
def test_soft_nms_equals_the_published_loop(method: str, count: int, iou: float, sigma: float, thresh: float) -> None:
    for seed in range(5):
        boxes, scores = random_boxes(count, seed)
        kept, lowered = soft_nms(boxes, scores, method=method, iou=iou, sigma=sigma, score_thresh=thresh)
        expected = softened(boxes, scores, method, iou, sigma, thresh)
        assert kept.tolist() == [index for index, _ in expected]
        torch.testing.assert_close(lowered, torch.tensor([score for _, score in expected]))


A, HALF, FAR = [0.0, 0, 10, 10], [0.0, 0, 10, 5], [50.0, 50, 60, 60]  # A and HALF overlap by 0.5 exactly


@pytest.mark.parametrize(
    ("boxes", "scores", "options", "expected"),
    [
        ([], [], {"method": "linear"}, []),
        ([A], [0.5], {"method": "linear"}, [(0, 0.5)]),
        ([A, HALF], [0.8, 0.5], {"method": "linear", "iou": 0.4}, [(0, 0.8), (1, 0.25)]),
        ([A, HALF], [0.8, 0.5], {"method": "linear", "iou": 0.5}, [(0, 0.8), (1, 0.5)]),  # equal to the threshold: it stays
        ([A, HALF], [0.8, 0.5], {"method": "linear", "iou": 0.4, "score_thresh": 0.25}, [(0, 0.8)]),
        ([A, HALF, FAR], [0.5, 0.8, 0.4], {"method": "linear", "iou": 0.4}, [(1, 0.8), (2, 0.4), (0, 0.25)]),  # new order
        ([A, HALF], [0.8, 0.5], {"method": "gaussian", "sigma": 0.5}, [(0, 0.8), (1, 0.5 * math.exp(-0.5))]),
        ([A, A], [0.8, 0.8], {"method": "linear", "iou": 0.4}, [(0, 0.8)]),  # twice the same: the second's score is 0
        ([A, A], [0.5, 0.5], {"method": "gaussian", "sigma": 0.5}, [(0, 0.5), (1, 0.5 * math.exp(-2))]),
        ([A, FAR], [0.5, 0.5], {"method": "gaussian"}, [(0, 0.5), (1, 0.5)]),  # ties keep their order
        ([[0, 0, math.nan, 9], A, HALF, FAR], [0.9, 0.8, math.nan, math.inf], {"method": "gaussian"}, [(1, 0.8)]),
    ],
)
def test_soft_nms_by_hand(boxes: list, scores: list, options: dict, expected: list[tuple[int, float]]) -> None:
    kept, lowered = soft_nms(torch.tensor(boxes).reshape(-1, 4), torch.tensor(scores), **options)
    assert kept.tolist() == [index for index, _ in expected]
    assert kept.dtype == torch.int64
    assert lowered.tolist() == pytest.approx([score for _, score in expected], rel=1e-6)


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ValueError, match="'method' of soft_nms must be one of linear, gaussian, got 'hard'"):
        soft_nms(torch.zeros(0, 4), torch.zeros(0), method="hard")


@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize("top", [3, 100])
def test_class_soft_nms_is_soft_nms_in_each_class(method: str, top: int) -> None:
    boxes, scores = random_boxes(45, 9)
    labels = torch.randint(0, 4, (45,), generator=torch.Generator().manual_seed(1))
    kept, lowered = class_soft_nms(boxes, scores, labels, top, method=method, iou=0.3, sigma=0.4, score_thresh=0.05)
    expected = []
    for label in range(4):
        members = [index for index in range(45) if labels[index] == label]
        found = softened(boxes[members], scores[members], method, 0.3, 0.4, 0.05)
        expected += [(members[index], score) for index, score in found]
    expected = sorted(expected, key=lambda row: -row[1])[:top]
    assert kept.tolist() == [index for index, _ in expected]
    torch.testing.assert_close(lowered, torch.tensor([score for _, score in expected]))


def test_class_soft_nms_of_nothing() -> None:
    kept, lowered = class_soft_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), 10, method="linear")
    assert kept.tolist() == lowered.tolist() == []
    assert (kept.dtype, lowered.dtype) == (torch.int64, torch.float32)
