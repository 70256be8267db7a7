"""The comparison of detections lets through what rounding does, and nothing else."""

from __future__ import annotations

import pytest
import torch
from close_detections import NO_EDGES, Edges, assert_close_detections
from torch import Tensor

Row = tuple[list[float], float, int]

A: Row = ([10, 10, 50, 50], 0.9, 0)
B: Row = ([60, 10, 90, 40], 0.8, 1)
C: Row = ([12, 40, 70, 80], 0.5, 0)
D: Row = ([15, 5, 25, 35], 0.3, 1)
ROWS = [A, B, C, D]


def rows(listed: list[Row]) -> tuple[Tensor, Tensor, Tensor]:
    boxes = torch.tensor([box for box, _, _ in listed], dtype=torch.float32).reshape(-1, 4)
    return boxes, torch.tensor([score for _, score, _ in listed]), torch.tensor([label for _, _, label in listed]).long()


def compare(found: list[Row], expected: list[Row], edges: Edges = NO_EDGES) -> None:
    assert_close_detections(rows(found), rows(expected), scores=1e-3, boxes=0.01, edges=edges)


def changed(row: Row, box: float = 0, score: float = 0, label: int = 0) -> Row:
    return [row[0][0], row[0][1], row[0][2] + box, row[0][3]], row[1] + score, row[2] + label


def test_equal_and_rounded_and_empty_lists() -> None:
    compare(ROWS, ROWS)
    compare([changed(row, 0.009, -0.0009) for row in ROWS], ROWS)
    compare([], [])


NEAR = ([30.0, 30, 80, 90], 0.5005, 1)  # nearly C's score


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        ([changed(A, box=0.012), B, C, D], ROWS, "2 differences:\nnot expected: number 0, class 0"),
        ([changed(A, score=0.002), B, C, D], ROWS, "not found: number 0, class 0, score 0.9"),
        ([changed(A, label=1), B, C, D], ROWS, "not expected: number 0, class 1"),
        ([A, B, C], ROWS, "1 differences:\nnot found: number 3, class 1, score 0.300000, box 15.0000, 5.0000, 25.0000"),
        (ROWS, [A, B, C], "1 differences:\nnot expected: number 3"),
        ([A, A, B, C, D], ROWS, "1 differences:\nnot expected: number"),
        (ROWS, [A, A, B, C, D], "1 differences:\nnot found: number"),
        ([], ROWS, "4 differences"),
        ([B, A, C, D], ROWS, "found is not sorted by score"),
        ([B, A, C, D], ROWS, "score 0.800000, box 60.0000, 10.0000, 90.0000, 40.0000 comes before number 1, class 0"),
        ([changed(B, label=-1), changed(A, label=1), C, D], ROWS, "not sorted"),
    ],
)
def test_what_is_wrong_is_told(found: list[Row], expected: list[Row], message: str) -> None:
    with pytest.raises(AssertionError) as told:
        compare(found, expected)
    assert message in str(told.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", ["box", "score"])
def test_numbers_that_are_none_are_no_detections(place: str, value: float) -> None:
    with pytest.raises(AssertionError):
        compare([changed(A, **{place: value})], [changed(A, **{place: value})])


def test_near_ties_may_swap_and_others_not() -> None:
    expected = [A, B, NEAR, C, D]
    compare([A, B, changed(C, score=0.0007), NEAR, D], expected)
    further = changed(NEAR, score=0.0008)  # 0.0013 above C
    # each is near its own, and sorted, but the two were further apart than the tolerance
    with pytest.raises(AssertionError, match="comes before"):
        compare([A, B, changed(C, score=0.0009), changed(further, score=-0.0009), D], [A, B, further, C, D])


def test_boxes_that_fit_several_are_paired_so_that_all_have_one() -> None:
    # the first fits both, the second one only: the nearest box alone would leave it without
    first, second = ([0, 0, 10, 10], 0.9, 0), ([0, 0, 10.012, 10], 0.9, 0)
    compare([([0, 0, 10.004, 10], 0.9, 0), ([0, 0, 9.995, 10], 0.9, 0)], [first, second])
    with pytest.raises(AssertionError, match="1 differences:\nnot expected"):
        compare([first, first, second], [first, second])


LOW: Row = ([0, 60, 20, 90], 0.0505, 0)


@pytest.mark.parametrize(("edge", "fine"), [(0.05, True), (0.051, True), (0.052, False), (0.049, False), (None, False)])
def test_the_threshold_of_scores(edge: float | None, fine: bool) -> None:
    for found, expected in (([*ROWS, LOW], ROWS), (ROWS, [*ROWS, LOW])):
        if fine:
            compare(found, expected, Edges(score=edge))
        else:
            with pytest.raises(AssertionError, match="1 differences"):
                compare(found, expected, Edges(score=edge))


@pytest.mark.parametrize(
    ("score", "limit", "fine"), [(0.3, 4, True), (0.3009, 4, True), (0.303, 4, False), (0.3, 5, False), (0.3, None, False)]
)
def test_the_end_of_a_full_list(score: float, limit: int | None, fine: bool) -> None:
    other: Row = ([0, 60, 20, 90], score, 0)
    found = sorted([A, B, C, other], key=lambda row: -row[1])
    if fine:
        compare(found, ROWS, Edges(limit=limit))
        compare(ROWS, found, Edges(limit=limit))
    else:
        with pytest.raises(AssertionError, match="differences"):
            compare(found, ROWS, Edges(limit=limit))


def beside(row: Row, iou: float, score: float) -> Row:
    """A box of the class and size of ``row``, moved to the right so that they overlap by ``iou``."""
    (x1, y1, x2, y2), _, label = row
    move = (x2 - x1) * (1 - iou) / (1 + iou)
    return [x1 + move, y1, x2 + move, y2], score, label


@pytest.mark.parametrize(
    ("iou", "fine"), [(0.5, True), (0.5003, True), (0.4997, True), (0.51, False), (0.49, False), (0.8, False)]
)
def test_an_overlap_at_the_threshold_of_nms(iou: float, fine: bool) -> None:
    other = beside(A, iou, 0.7)
    for found, expected in (([A, B, other, C, D], ROWS), (ROWS, [A, B, other, C, D])):
        if fine:
            compare(found, expected, Edges(nms=0.5))
        else:
            with pytest.raises(AssertionError, match="1 differences"):
                compare(found, expected, Edges(nms=0.5))
    with pytest.raises(AssertionError, match="1 differences"):
        compare([A, B, (other[0], other[1], 1), C, D], ROWS, Edges(nms=0.5))  # of another class
    with pytest.raises(AssertionError, match="1 differences"):
        compare([(other[0], 0.95, 0), *ROWS], ROWS, Edges(nms=0.5))  # better than what would suppress it


def test_of_a_tie_either_may_suppress_the_other() -> None:
    one, other = beside(A, 0.7, 0.7), beside(A, 0.95, 0.7004)
    compare([B, one], [B, other], Edges(nms=0.5))
    with pytest.raises(AssertionError, match="2 differences"):
        compare([B, one], [B, other])
    with pytest.raises(AssertionError, match="not expected"):
        compare([B, one], [B, (other[0], 0.702, 0)], Edges(nms=0.5))  # no tie
    with pytest.raises(AssertionError, match="2 differences"):
        compare([B, one], [B, beside(A, 0.1, 0.7004)], Edges(nms=0.5))  # which do not overlap
    with pytest.raises(AssertionError, match="1 differences"):
        compare([A, beside(A, 0.7, 0.9), B], [A, B], Edges(nms=0.5))  # beside what it ties with, not in its place


def test_what_was_suppressed_by_something_on_an_edge() -> None:
    # the middle one is at A's threshold; where it is found it suppresses the last, which A does not
    middle = beside(A, 0.5, 0.7)
    last = beside(middle, 0.6, 0.6)
    compare([A, middle], [A, last], Edges(nms=0.5))
    compare([A, last], [A, middle], Edges(nms=0.5))
    with pytest.raises(AssertionError, match="2 differences"):
        compare([A, beside(A, 0.45, 0.7)], [A, last], Edges(nms=0.5))
