from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resdet.errors import DataError
from resdet.structures import Detections, Target, xywh_to_xyxy

NAN, INF = float("nan"), float("inf")


def _target(box: list[float], **changes: Any) -> Target:
    return Target(**{"boxes": torch.tensor([box]), "labels": torch.tensor([0]), "size": (10, 20), **changes})


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([NAN, 0.0, 1.0, 1.0], id="NaN"),
        pytest.param([0.0, 0.0, INF, 1.0], id="infinite"),
        pytest.param([2.0, 0.0, 1.0, 1.0], id="negative width"),
        pytest.param([0.0, 2.0, 1.0, 1.0], id="negative height"),
        pytest.param([1.0, 0.0, 1.0, 1.0], id="no width"),
        pytest.param([0.0, 1.0, 1.0, 1.0], id="no height"),
    ],
)
def test_a_bad_box_is_refused_and_named(box: list[float]) -> None:
    good = [0.0, 0.0, 5.0, 5.0]
    with pytest.raises(DataError, match=r"target of street\.jpg: object 1: needs finite x1 < x2"):
        Target(torch.tensor([good, box]), torch.tensor([0, 1]), (10, 20), path="street.jpg")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": torch.tensor([-1])}, "object 0.*label -1"),
        ({"labels": torch.tensor([0.0])}, "labels must be int64"),
        ({"labels": torch.tensor([[0]])}, "labels must be int64"),
        ({"labels": torch.tensor([0, 1])}, r"boxes must be float32 \(2, 4\)"),
        ({"boxes": torch.tensor([[0.0, 0.0, 1.0]])}, r"got torch\.float32 \(1, 3\)"),
        ({"boxes": torch.tensor([[0, 0, 1, 1]])}, r"boxes must be float32 \(1, 4\), got torch\.int64"),
        ({"ignore": torch.tensor([True, False])}, r"ignore must be bool \(1,\)"),
        ({"ignore": torch.tensor([1])}, r"ignore must be bool \(1,\), got torch\.int64"),
        ({"size": (0, 20)}, r"size must be positive \(height, width\), got \(0, 20\)"),
    ],
)
def test_a_bad_target_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        _target([0.0, 0.0, 1.0, 1.0], **changes)


def test_every_problem_is_told_and_the_image_named() -> None:
    with pytest.raises(DataError) as caught:
        _target([0.0, 0.0, 1.0, 1.0], ignore=torch.zeros(3, dtype=torch.bool), size=(-1, 2), image_id=42)
    assert len(caught.value.problems) == 2
    assert all(problem.startswith("target of image 42: ") for problem in caught.value.problems)
    boxes = torch.tensor([[0.0, 0.0, 0.0, 1.0]] * 3)
    with pytest.raises(DataError) as caught:
        Target(boxes, torch.zeros(3, dtype=torch.int64), (5, 5))
    assert len(caught.value.problems) == 3


def test_an_image_without_objects() -> None:
    target = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (10, 20))
    assert len(target) == 0
    assert target.ignore.shape == (0,)
    assert target.to("cpu").boxes.shape == (0, 4)


def test_nothing_is_ignored_unless_said() -> None:
    target = _target([0.0, 0.0, 1.0, 1.0])
    assert len(target) == 1
    assert target.ignore.tolist() == [False]
    assert _target([0.0, 0.0, 1.0, 1.0], ignore=torch.tensor([True])).to("cpu").ignore.tolist() == [True]


def _detections(scores: list[float]) -> Detections:
    count = len(scores)
    corners = xywh_to_xyxy(torch.arange(count * 4, dtype=torch.float32).reshape(count, 4) + 1)
    return Detections(corners, torch.tensor(scores), torch.arange(count), (100, 200), ["a", "b", "c"], image_id=9)


@pytest.mark.parametrize(
    ("boxes", "scores", "labels"),
    [((2, 4), (1,), (1,)), ((1, 4), (1,), (2,)), ((1, 5), (1,), (1,)), ((1, 4), (1, 1), (1,)), ((4,), (1,), (1,))],
)
def test_lengths_that_differ_are_refused(boxes: tuple[int, ...], scores: tuple[int, ...], labels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Detections needs boxes"):
        Detections(torch.zeros(boxes), torch.zeros(scores), torch.zeros(labels, dtype=torch.int64), (5, 5))


def test_above_keeps_equal_scores() -> None:
    kept = _detections([0.9, 0.5, 0.1]).above(0.5)
    assert kept.labels.tolist() == [0, 1]
    assert kept.boxes.tolist() == [[1, 2, 4, 6], [5, 6, 12, 14]]
    assert (kept.size, kept.image_id, kept.names) == ((100, 200), 9, ["a", "b", "c"])
    assert len(_detections([0.3]).above(0.4)) == 0


def test_resized_and_back() -> None:
    detections = _detections([0.9, 0.5])
    half = detections.resized((50, 100))
    torch.testing.assert_close(half.boxes, detections.boxes / 2)
    torch.testing.assert_close(half.resized((100, 200)).boxes, detections.boxes)
    assert half.size == (50, 100)


def test_coco_rows() -> None:
    rows = _detections([0.5, 0.25]).to_coco()
    assert rows == [
        {"image_id": 9, "category_id": 1, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5},
        {"image_id": 9, "category_id": 2, "bbox": [5.0, 6.0, 7.0, 8.0], "score": 0.25},
    ]
    assert [row["category_id"] for row in _detections([0.5, 0.25]).to_coco([18, 44, 90])] == [18, 44]
    assert _detections([]).to_coco() == []


@given(st.lists(st.tuples(*[st.floats(0, 1000, width=32)] * 2, *[st.floats(0.5, 1000, width=32)] * 2), max_size=5))
def test_coco_rows_are_not_rounded(rows: list[tuple[float, float, float, float]]) -> None:
    boxes = xywh_to_xyxy(torch.tensor(rows, dtype=torch.float32).reshape(-1, 4))
    count = len(rows)
    detections = Detections(boxes, torch.full((count,), 0.1), torch.zeros(count, dtype=torch.int64), (2000, 2000))
    for row, (x1, y1, x2, y2) in zip(detections.to_coco(), boxes.tolist(), strict=True):
        assert row["bbox"] == [x1, y1, x2 - x1, y2 - y1]
        assert row["score"] == torch.tensor(0.1).item()
