"""COCO metrics: the official code's rules one by one (golden values), and the forms of ground truths, results and metrics."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from official_coco import BACKENDS, official, official_numbers

from resdet.errors import ConfigError, DataError
from resdet.evaluation import evaluate_coco

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def gt(*annotations, images=1, categories=(1,)):
    """A ground truth of boxes given as (box, extra fields)."""
    rows = []
    for number, item in enumerate(annotations, 1):
        box, extra = item if isinstance(item, tuple) else (item, {})
        row = {"id": number, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        rows.append(row | extra)
    return {
        "images": [{"id": number, "width": 640, "height": 480} for number in range(1, images + 1)],
        "categories": [{"id": number, "name": f"class {number}"} for number in categories],
        "annotations": rows,
    }


def dt(*rows):
    """Results given as (box, score) or (box, score, extra fields)."""
    return [
        {"image_id": 1, "category_id": 1, "bbox": row[0], "score": row[1]} | (row[2] if len(row) > 2 else {}) for row in rows
    ]


A, B = [0, 0, 100, 100], [200, 200, 100, 100]
FAR = [400, 100, 100, 100]
GOLDEN = {
    "a perfect detection": (gt(A), dt((A, 0.9)), {"AP": 1, "AP50": 1, "AP75": 1, "AR1": 1, "AR100": 1}),
    "IoU exactly .5 is a match at .5 only": (gt(A), dt(([0, 0, 100, 50], 0.9)), {"AP": 0.1, "AP50": 1, "AP75": 0}),
    "IoU exactly .75 is a match at .75": (gt(A), dt(([0, 0, 100, 75], 0.9)), {"AP": 0.6, "AP75": 1}),
    "a crowd around a found object": (gt(A, (A, {"iscrowd": 1})), dt((A, 0.9)), {"AP": 1}),
    "a crowd absorbs many detections, but they take slots": (
        gt(A, ([200, 200, 200, 200], {"iscrowd": 1})),
        dt((A, 0.5), ([210, 210, 20, 20], 0.9), ([250, 250, 20, 20], 0.8)),
        {"AP": 1, "AR1": 0, "AR10": 1},
    ),
    "crowd overlap is over the detection's own area": (
        gt(A, ([200, 0, 400, 400], {"iscrowd": 1})),
        dt((A, 0.5), ([210, 210, 20, 20], 0.9)),
        {"AP": 1},
    ),
    "the field ignore has no effect": (gt(A, (B, {"ignore": 1})), dt((A, 0.9)), {"AP": 51 / 101}),
    "area 1024 is small and medium": (gt([0, 0, 32, 32]), dt(([0, 0, 32, 32], 0.9)), {"APs": 1, "APm": 1, "APl": math.nan}),
    "area 9216 is medium and large": (gt([0, 0, 96, 96]), dt(([0, 0, 96, 96], 0.9)), {"APs": math.nan, "APm": 1, "APl": 1}),
    "the file's area decides the size": (
        gt(([0, 0, 40, 40], {"area": 900})),
        dt(([0, 0, 40, 40], 0.9)),
        {"APs": 1, "APm": math.nan},
    ),
    "a false detection of another size does not hurt": (
        gt([0, 0, 20, 20]),
        dt(([0, 0, 20, 20], 0.5), ([200, 200, 50, 50], 0.9)),
        {"AP": 0.5, "APs": 1},
    ),
    "half of the objects found": (gt(A, B), dt((A, 0.9)), {"AP": 51 / 101, "AR100": 0.5}),
    "a false detection above the right one": (gt(A), dt((A, 0.5), (FAR, 0.9)), {"AP": 0.5}),
    "right, duplicate, right": (gt(A, B), dt((A, 0.9), (A, 0.8), (B, 0.7)), {"AP": (51 + 50 * 2 / 3) / 101}),
    "a class without objects costs nothing": (
        gt(A, categories=(1, 2)),
        dt((A, 0.5), (B, 0.9, {"category_id": 2})),
        {"AP": 1},
    ),
    "a detection on an empty image is false": (gt(A, images=2), dt((A, 0.5), (A, 0.9, {"image_id": 2})), {"AP": 0.5}),
    "no detections": (gt(A, B), [], {"AP": 0, "AP50": 0, "AR100": 0, "APs": math.nan, "APl": 0}),
    "no objects": (gt(), dt((A, 0.9)), dict.fromkeys(METRICS, math.nan)),
    "no objects and no detections": (gt(), [], dict.fromkeys(METRICS, math.nan)),
    "no images at all": (gt(images=0, categories=()), [], dict.fromkeys(METRICS, math.nan)),
    "an empty box": (gt(A), dt(([5, 5, 0, 0], 0.9), (A, 0.8)), {"AP": 0.5}),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", GOLDEN)
def test_golden(case, backend):
    ground_truth, detections, expected = GOLDEN[case]
    found = evaluate_coco(ground_truth, detections, backend=backend).bbox
    assert tuple(found) == METRICS
    # the official precision tp / (tp + fp + 2.2e-16) is a last digit short of its value
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12, nan_ok=True)
    if detections:
        assert list(found.values()) == pytest.approx(official_numbers(ground_truth, detections), abs=0, nan_ok=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_the_best_100_of_an_image_and_category_count(backend):
    boxes = [[6 * number, 0, 5, 5] for number in range(101)]
    found = evaluate_coco(gt(*boxes), dt(*[(box, 1 - number / 200) for number, box in enumerate(boxes)]), backend=backend)
    assert found.bbox["AP"] == pytest.approx(100 / 101, abs=1e-12)
    assert found.bbox["AR100"] == pytest.approx(100 / 101, abs=1e-12)
    assert found.meta["max_detections"] == 100


def test_of_two_equal_objects_the_later_is_matched():
    run = official(gt(A, A), dt((A, 0.9)))
    (image,) = [row for row in run.evalImgs if row is not None and row["aRng"] == [0, 1e10]]
    assert image["dtMatches"][0].tolist() == [2]


@pytest.mark.parametrize("backend", BACKENDS)
def test_equal_scores_keep_the_order_of_images_not_of_the_file(backend):
    # image 2's false detection comes first in the file; by image id the right one of image 1 is visited first
    ground_truth = gt(A, images=2)
    rows = dt((B, 0.5, {"image_id": 2}), (A, 0.5))
    assert evaluate_coco(ground_truth, rows, backend=backend).bbox["AP"] == pytest.approx(1, abs=1e-12)
    ground_truth["images"].reverse()
    assert evaluate_coco(ground_truth, rows, backend=backend).bbox["AP"] == pytest.approx(1, abs=1e-12)
    # within an image the file's order decides
    assert evaluate_coco(gt(A), dt((B, 0.5), (A, 0.5)), backend=backend).bbox["AP"] == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_annotation_id_0_counts_with_a_warning(backend):
    ground_truth = gt((A, {"id": 0}))
    assert official(ground_truth, dt((A, 0.9))).stats[0] == 0  # the official tools cannot match it
    with pytest.warns(UserWarning, match="id 0"):
        assert evaluate_coco(ground_truth, dt((A, 0.9)), backend=backend).bbox["AP"] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_grids_are_the_official_ones(backend):
    run = official(gt(A), dt((A, 0.9)))
    assert np.array_equal(run.params.iouThrs, np.linspace(0.5, 0.95, 10))
    assert run.params.iouThrs[8] == 0.8999999999999999
    # a box of IoU 0.9 up to rounding (below the literal 0.9, not below the grid's) matches at that threshold
    assert evaluate_coco(gt([0, 0, 10, 10]), dt(([0, 0, 10, 9], 1.0)), backend=backend).bbox["AP"] == pytest.approx(0.9)


def test_per_class_and_json():
    ground_truth = gt(A, (B, {"category_id": 3}), categories=(1, 2, 3))
    found = evaluate_coco(ground_truth, dt((A, 0.9)))
    assert found.per_class["class 1"]["AP"] == pytest.approx(1, abs=1e-12)
    assert found.per_class["class 3"] == {"AP": 0, "AP50": 0}
    assert math.isnan(found.per_class["class 2"]["AP"])
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["per_class"]["class 2"] == {"AP": None, "AP50": None}
    assert content["bbox"]["APs"] is None
    assert content["bbox"]["AP"] == pytest.approx(0.5, abs=1e-12)
    assert content["meta"]["metric"] == "coco"
    assert content["meta"]["backend"].startswith("hotcoco ")
    assert (content["meta"]["images"], content["meta"]["objects"], content["meta"]["detections"]) == (1, 2, 1)


def test_columns_are_as_good_as_rows():
    ground_truth = gt(A, B)
    rows = dt((A, 0.9), (FAR, 0.95))
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    assert evaluate_coco(ground_truth, columns).bbox == pytest.approx(
        evaluate_coco(ground_truth, rows).bbox, abs=0, nan_ok=True
    )


def test_image_ids_may_be_strings():
    ground_truth = gt((A, {"image_id": "2007_000032"}))
    ground_truth["images"] = [{"id": "2007_000032"}, {"id": "2007_000027"}]
    rows = dt((A, 0.9, {"image_id": "2007_000032"}))
    assert evaluate_coco(ground_truth, rows).bbox["AP"] == pytest.approx(1, abs=1e-12)


def test_classes_of_one_name_are_kept_apart():
    ground_truth = gt(A, (B, {"category_id": 2}), categories=(1, 2))
    for row in ground_truth["categories"]:
        row["name"] = "crane"
    assert list(evaluate_coco(ground_truth, []).per_class) == ["crane [1]", "crane [2]"]


def test_a_file_without_area_and_iscrowd_is_read_with_the_boxes_own_area(tmp_path):
    ground_truth = gt([0, 0, 20, 20])
    for row in ground_truth["annotations"]:
        del row["area"], row["iscrowd"]
    path = tmp_path / "gt.json"
    path.write_text(json.dumps(ground_truth))
    assert evaluate_coco(path, dt(([0, 0, 20, 20], 0.9))).bbox["APs"] == pytest.approx(1, abs=1e-12)


def test_unknown_backend():
    with pytest.raises(ConfigError, match=r"'hotcocoa'.*did you mean 'hotcoco'"):
        evaluate_coco(gt(A), [], backend="hotcocoa")


def test_a_wrong_dict_is_a_data_error():
    with pytest.raises(DataError, match="'annotations' must be a list, it is missing"):
        evaluate_coco({"images": [], "categories": []}, [])
