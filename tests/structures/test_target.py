from __future__ import annotations

from typing import Any

import pytest
import torch

from resdet.errors import DataError
from resdet.structures import Target

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
