"""A warning says in whole sentences what is odd, and points to the line that asked."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from resdet.evaluation import CocoEvaluator, evaluate_coco, read_detections, read_voc_results
from resdet.evaluation.ground_truth import GroundTruth

TRUTH = {
    "images": [{"id": 1, "width": 64, "height": 48}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 20]}],
}


def warned(call: Callable[[], object]) -> str:
    """The only warning of a call that a line of this file makes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    (warning,) = caught
    assert (warning.category, warning.filename) == (UserWarning, __file__)
    return str(warning.message)


def test_an_annotation_of_id_0() -> None:
    truth = {**TRUTH, "annotations": [{**TRUTH["annotations"][0], "id": 0}]}
    assert warned(lambda: evaluate_coco(truth, [])) == (
        "an annotation has the id 0: it is counted like any other here, while the official COCO tools can never match it and "
        "report a lower AP for this file"
    )


def test_images_that_were_never_processed() -> None:
    evaluator = CocoEvaluator(TRUTH, (1,), ("cat",))

    def ask() -> None:
        evaluator.evaluate()

    assert warned(ask) == "1 of 1 images were never processed: their objects count as missed"


@pytest.mark.parametrize(
    ("boxes", "suspicion"),
    [
        (
            [[40, 20, 60, 40], [40, 20, 60, 40], [0, 0, 64, 48]],
            "2 of 3 boxes reach beyond their image; COCO results are [x, y, width, height], are these [x1, y1, x2, y2]?",
        ),
        (
            [[0.1, 0.2, 0.5, 0.5]],
            "every box lies within the first pixel; COCO results are in pixels, are these fractions of the image?",
        ),
    ],
)
def test_boxes_of_another_kind(boxes: list[list[float]], suspicion: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.5} for box in boxes]))
    truth = GroundTruth.from_dict(TRUTH)
    assert warned(lambda: read_detections(path, truth)) == f"{path}: {suspicion}"


def test_results_of_a_class_that_nobody_knows(tmp_path: Path) -> None:
    for name in ("cat", "cow"):
        (tmp_path / f"comp4_det_val_{name}.txt").touch()
    found = warned(lambda: read_voc_results([tmp_path], "val", {1: "000005"}, {1: "cat"}))
    assert found == f"{tmp_path / 'comp4_det_val_cow.txt'}: the ground truth has no such class: left out"
