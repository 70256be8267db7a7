import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from resdet.ops.iou import box_ioa, box_iou


def random_boxes(array: np.ndarray) -> torch.Tensor:
    """Any (N, 4) numbers as ordered boxes."""
    first, second = torch.from_numpy(array[:, :2]), torch.from_numpy(array[:, 2:])
    return torch.cat([torch.minimum(first, second), torch.maximum(first, second)], dim=1)


boxes_strategy = hnp.arrays(np.float64, st.tuples(st.integers(0, 8), st.just(4)), elements=st.floats(-100, 100, width=32)).map(
    random_boxes
)


@settings(max_examples=60, deadline=None)
@given(boxes_strategy, boxes_strategy)
def test_iou_equals_torchvision(a: torch.Tensor, b: torch.Tensor) -> None:
    expected = torchvision.ops.box_iou(a, b).nan_to_num(0.0)
    torch.testing.assert_close(box_iou(a, b), expected)


@settings(max_examples=60, deadline=None)
@given(boxes_strategy, boxes_strategy)
def test_ioa_equals_the_official_crowd_overlap(a: torch.Tensor, b: torch.Tensor) -> None:
    a = a[(a[:, 2:] - a[:, :2] > 1e-3).all(1)]
    b = b[(b[:, 2:] - b[:, :2] > 1e-3).all(1)]
    if not len(a) or not len(b):
        assert box_ioa(a, b).shape == (len(a), len(b))
        return

    def xywh(boxes: torch.Tensor) -> np.ndarray:
        return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).numpy()

    expected = coco_mask.iou(xywh(a), xywh(b), [1] * len(b))
    torch.testing.assert_close(box_ioa(a, b), torch.from_numpy(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "iou", "ioa"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1.0, 1.0),
        ([0, 0, 2, 2], [2, 0, 4, 2], 0.0, 0.0),  # touching
        ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3, 0.5),
        ([0, 0, 0.5, 0.5], [0.25, 0, 1, 1], 0.125 / 0.875, 0.5),  # smaller than a pixel
        ([1, 1, 1, 1], [0, 0, 2, 2], 0.0, 0.0),  # a point
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.0, 0.0),  # both empty
        ([0, 0, 1e6, 1e6], [0, 0, 1, 1], 1e-12, 1e-12),
    ],
)
def test_by_hand(a: list[float], b: list[float], iou: float, ioa: float) -> None:
    first, second = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    assert box_iou(first, second).item() == pytest.approx(iou)
    assert box_ioa(first, second).item() == pytest.approx(ioa)


def test_leading_dimensions_broadcast() -> None:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(3, 5, 2, generator=generator)
    boxes = torch.cat([corner, corner + torch.rand(3, 5, 2, generator=generator)], dim=-1)
    others = boxes[:, :2]
    for overlap in (box_iou, box_ioa):
        rows = [overlap(boxes[i], others[i]) for i in range(3)]
        assert torch.equal(overlap(boxes, others), torch.stack(rows))
        assert torch.equal(overlap(boxes[0], others), torch.stack([overlap(boxes[0], others[i]) for i in range(3)]))
