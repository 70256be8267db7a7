from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resdet.ops.boxes import mirror_boxes
from resdet.structures import box_area, clip_boxes, scale_boxes, xywh_to_xyxy, xyxy_to_xywh

coordinate = st.floats(-500, 500, width=32)
side = st.floats(0.125, 500, width=32)
xywh_boxes = st.lists(st.tuples(coordinate, coordinate, side, side), max_size=8).map(
    lambda rows: torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
)


@given(xywh_boxes)
def test_xywh_and_back(boxes: torch.Tensor) -> None:
    again = xyxy_to_xywh(xywh_to_xyxy(boxes))  # a sum below 1000 and a difference below 500 are rounded: 1500 * 2**-24
    torch.testing.assert_close(again, boxes, rtol=0, atol=1e-4)


@given(xywh_boxes)
def test_area_is_width_times_height_without_plus_one(boxes: torch.Tensor) -> None:
    torch.testing.assert_close(box_area(xywh_to_xyxy(boxes.double())), boxes[:, 2].double() * boxes[:, 3].double())


def test_area_of_a_reversed_box_is_negative() -> None:
    assert box_area(torch.tensor([[3.0, 0.0, 1.0, 2.0]])).item() == -4


@pytest.mark.parametrize(
    ("box", "clipped"),
    [
        pytest.param([1, 2, 3, 4], [1, 2, 3, 4], id="inside"),
        pytest.param([-5, -5, 3, 4], [0, 0, 3, 4], id="over the corner at the origin"),
        pytest.param([1, 2, 30, 40], [1, 2, 20, 10], id="over the other corner: x to the width, y to the height"),
        pytest.param([25, 2, 30, 4], [20, 2, 20, 4], id="beside the image: empty"),
        pytest.param([-9, -9, 99, 99], [0, 0, 20, 10], id="around the image"),
    ],
)
def test_clip(box: list[float], clipped: list[float]) -> None:
    assert clip_boxes(torch.tensor([box], dtype=torch.float32), (10, 20)).tolist() == [clipped]


@given(xywh_boxes)
def test_clip_is_idempotent_and_stays_inside(boxes: torch.Tensor) -> None:
    once = clip_boxes(xywh_to_xyxy(boxes), (100, 200))
    assert torch.equal(clip_boxes(once, (100, 200)), once)
    assert (once >= 0).all()
    assert (once[:, 0::2] <= 200).all()
    assert (once[:, 1::2] <= 100).all()


def test_clip_takes_any_leading_shape_and_none() -> None:
    assert clip_boxes(torch.zeros(2, 3, 4), (5, 5)).shape == (2, 3, 4)
    assert clip_boxes(torch.zeros(0, 4), (5, 5)).shape == (0, 4)


def test_a_box_in_the_mirror_image() -> None:
    assert mirror_boxes(torch.tensor([10.0, 5, 30, 9]), 96).tolist() == [66, 5, 86, 9]
    assert mirror_boxes(torch.tensor([[[10.0, 5, 30, 9]]]), 96).tolist() == [[[66, 5, 86, 9]]]
    assert mirror_boxes(torch.zeros(0, 3, 4), 96).shape == (0, 3, 4)


@given(st.integers(0, 18), st.integers(1, 19), st.integers(0, 9))
def test_a_mirrored_box_frames_the_mirrored_pixels(x1: int, width: int, y1: int) -> None:
    """A painted box of a picture of 20 x 12 pixels is found by looking in the flipped picture."""
    x2, y2 = min(x1 + width, 20), y1 + 3
    picture = torch.zeros(12, 20)
    picture[y1:y2, x1:x2] = 1
    rows, columns = picture.flip(-1).nonzero(as_tuple=True)
    framed = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert mirror_boxes(torch.tensor([x1, y1, x2, y2]), 20).tolist() == [int(value) for value in framed]


def test_scale_multiplies_x_by_the_ratio_of_widths() -> None:
    scaled = scale_boxes(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), (10, 20), (30, 10))
    assert scaled.tolist() == [[0.5, 6.0, 1.5, 12.0]]


sizes = st.tuples(st.integers(1, 2000), st.integers(1, 2000))


@given(xywh_boxes, sizes, sizes)
def test_scale_and_back(boxes: torch.Tensor, source: tuple[int, int], destination: tuple[int, int]) -> None:
    corners = xywh_to_xyxy(boxes.double())
    again = scale_boxes(scale_boxes(corners, source, destination), destination, source)
    torch.testing.assert_close(again, corners, rtol=1e-12, atol=1e-12)
