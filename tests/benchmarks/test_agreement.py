"""When two detectors detect the same: the judge of every comparison of speed."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from resdet.structures import Detections

BOXES = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 50], [5, 5, 30, 30], [60, 60, 90, 95]])
SCORES, LABELS = torch.tensor([0.9, 0.8, 0.8, 0.3]), torch.tensor([0, 1, 1, 2])


@pytest.fixture(scope="module")
def agreement(script_module: Callable[[str], ModuleType]) -> ModuleType:
    return script_module("agreement")


def changed(boxes: dict[tuple[int, int], float] | None = None, scores: dict[int, float] | None = None, **other: torch.Tensor):
    found = {"boxes": BOXES.clone(), "scores": SCORES.clone(), "labels": LABELS.clone(), **other}
    for place, change in (boxes or {}).items():
        found["boxes"][place] += change
    for row, change in (scores or {}).items():
        found["scores"][row] += change
    return found


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (changed(), True),
        (changed({(1, 2): 0.009}, {1: 9e-5}), True),
        (changed({(1, 2): 0.02}), False),
        (changed(scores={0: 2e-4}), False),
        (changed(labels=torch.tensor([0, 1, 2, 2])), False),
        ({name: each[[0, 2, 1, 3]] for name, each in changed().items()}, True),  # a tie, in the other order
        ({name: each[:3] for name, each in changed().items()}, True),  # the last one fell to a threshold
        ({name: each[[0, 1, 3]] for name, each in changed().items()}, False),  # one in the middle is missing
        ({name: each[[1, 2, 3]] for name, each in changed().items()}, False),
        (changed({(3, 0): 9.0}), True),  # another one came last
        ({name: each[:0] for name, each in changed().items()}, False),
    ],
)
def test_the_same_up_to_rounding_and_order(agreement: ModuleType, other: dict[str, torch.Tensor], same: bool) -> None:
    assert agreement.same_detections(Detections(BOXES, SCORES, LABELS, (100, 100)), other) is same
    if len(other["boxes"]):
        reverse = Detections(other["boxes"], other["scores"], other["labels"], (100, 100))
        assert agreement.same_detections(reverse, changed()) is same


def test_nothing_detected_is_no_agreement(agreement: ModuleType) -> None:
    nothing = Detections(BOXES[:0], SCORES[:0], LABELS[:0], (100, 100))
    assert not agreement.same_detections(nothing, {"boxes": BOXES[:0], "scores": SCORES[:0], "labels": LABELS[:0]})


def test_share_found_and_the_largest_score_difference_among_them(agreement: ModuleType) -> None:
    expected = Detections(BOXES, SCORES, LABELS, (100, 100))
    other = changed({(1, 2): 3.0, (3, 0): 25.0}, {0: -0.02, 1: 0.05, 3: 0.4})  # the last overlaps by less than half
    found = Detections(other["boxes"], other["scores"], other["labels"], (100, 100))
    share, difference = agreement.shared(found, expected)
    assert (share, difference) == (0.75, pytest.approx(0.05))
