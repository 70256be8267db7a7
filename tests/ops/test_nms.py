import torch

from resdet.ops.iou import box_iou
from resdet.ops.nms import class_nms


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
