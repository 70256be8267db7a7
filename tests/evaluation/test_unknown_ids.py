"""A result of an image or a category that the ground truth does not have: what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from resdet.errors import DataError
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.ground_truth import GroundTruth

RESULT = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


def told(result: dict[str, Any], classes: int = 1, images: tuple[int | str, ...] = (1,)) -> str:
    """The only problem of a result."""
    truth = GroundTruth.from_dict(
        {
            "images": [{"id": key} for key in images],
            "categories": [{"id": key, "name": f"c{key}"} for key in range(1, classes + 1)],
            "annotations": [],
        }
    )
    with pytest.raises(DataError) as caught:
        DetectionColumns.from_results([result], truth)
    (problem,) = caught.value.problems
    return problem


def test_the_first_eight_categories_are_named() -> None:
    rule = "result 0: 'category_id' must be a category of the ground truth"
    eight = ", ".join(f"{key} c{key}" for key in range(1, 9))
    assert told({**RESULT, "category_id": 99}) == f"{rule} (1 c1), got 99"
    assert told({**RESULT, "category_id": 99}, classes=8) == f"{rule} ({eight}), got 99"
    assert told({**RESULT, "category_id": 99}, classes=9) == f"{rule} ({eight}, ...), got 99"


@pytest.mark.parametrize(
    ("key", "images", "got"),
    [
        ("7", (7,), "'7' (a string; the ground truth has the number 7)"),
        ("007", (7,), "'007' (a string; the ground truth has the number 7)"),
        ("8", (7,), "'8'"),
        (7, ("7",), "7 (a number; the ground truth has the string '7')"),
        (7, ("007",), "7"),
        (8, ("7",), "8"),
    ],
)
def test_an_id_of_another_type_is_recognized(key: int | str, images: tuple[int | str, ...], got: str) -> None:
    problem = told({**RESULT, "image_id": key}, images=images)
    assert problem == f"result 0: 'image_id' must be one of the ground truth's 1 image ids, got {got}"


def test_a_string_of_more_digits_than_python_reads() -> None:
    problem = told({**RESULT, "image_id": "1" * 5000})
    assert problem.startswith("result 0: 'image_id' must be one of the ground truth's 1 image ids, got '1111")
    assert "the ground truth has" not in problem
