"""VOC metrics: the devkit's rules one by one, and a slow second implementation in the devkit's own corners on random files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resdet.errors import ConfigError
from resdet.evaluation import evaluate_voc

BOTH = ("voc07", "voc10")


def from_corners(corners):
    """COCO's box of VOC's 1-based inclusive corners."""
    xmin, ymin, xmax, ymax = corners
    return [xmin - 1, ymin - 1, xmax - xmin + 1, ymax - ymin + 1]


def gt(*objects, images=1, names=("cat",)):
    """A ground truth of objects given as (corners, extra fields)."""
    rows = []
    for number, item in enumerate(objects, 1):
        corners, extra = item if isinstance(item, tuple) else (item, {})
        rows.append({"id": number, "image_id": 1, "category_id": 1, "bbox": from_corners(corners)} | extra)
    return {
        "images": [{"id": number} for number in range(1, images + 1)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        "annotations": rows,
    }


def dt(*rows):
    return [
        {"image_id": 1, "category_id": 1, "bbox": from_corners(row[0]), "score": row[1]} | (row[2] if len(row) > 2 else {})
        for row in rows
    ]


A, B, FAR = [1, 1, 100, 100], [201, 1, 300, 100], [401, 401, 450, 450]
HARD = {"difficult": 1}
GOLDEN = {
    # IoU with the + 1 is .5, without it .444
    "IoU of exactly .5 is right": (gt([1, 1, 10, 10]), dt(([1, 1, 10, 5], 0.9)), 1, 1),
    "a little less is false": (gt([1, 1, 1000, 1000]), dt(([1, 1, 1000, 499], 0.9)), 0, 0),
    "right, false, right over two": (gt(A, B), dt((A, 0.9), (FAR, 0.8), (B, 0.7)), (6 + 5 * 2 / 3) / 11, 0.5 + 0.5 * 2 / 3),
    "a duplicate is false": (gt(A, B), dt((A, 0.9), (A, 0.8), (B, 0.7)), (6 + 5 * 2 / 3) / 11, 0.5 + 0.5 * 2 / 3),
    # the second overlaps the taken A by .67 and the free one by .54: it does not get a second choice
    "no second choice": (
        gt([1, 1, 100, 100], [1, 51, 100, 150]),
        dt(([1, 1, 100, 100], 0.9), ([1, 21, 100, 120], 0.8)),
        6 / 11,
        0.5,
    ),
    "difficult objects do not count": (gt(A, (B, HARD)), dt((A, 0.9)), 1, 1),
    "any number of detections may fall on a difficult one": (
        gt(A, (B, HARD)),
        dt((B, 0.95), (B, 0.94), (B, 0.93), (A, 0.9)),
        1,
        1,
    ),
    "a difficult object that is best spoils a free one": (
        gt(([1, 1, 100, 100], HARD), [1, 21, 100, 120]),
        dt(([1, 6, 100, 105], 0.9)),
        0,
        0,
    ),
    "crowds and ignored ones are as difficult": (
        gt(A, (B, {"iscrowd": 1}), (FAR, {"ignore": 1})),
        dt((B, 0.95), (FAR, 0.94), (A, 0.9)),
        1,
        1,
    ),
    "3 of 10 found": (
        gt(*[[1 + 20 * n, 1, 10 + 20 * n, 10] for n in range(10)]),
        dt(*[([1 + 20 * n, 1, 10 + 20 * n, 10], 0.9 - n / 10) for n in range(3)]),
        3 / 11,  # not 4 / 11: the grid's .3 is .30000000000000004
        0.3,
    ),
    "no detections": (gt(A), [], 0, 0),
    "only false ones": (gt(A), dt((FAR, 0.9)), 0, 0),
    "no objects": (gt(), dt((A, 0.9)), math.nan, math.nan),
    "only difficult objects": (gt((A, HARD)), dt((A, 0.9)), math.nan, math.nan),
    "another image's object": (gt(A, images=2), dt((A, 0.9, {"image_id": 2})), 0, 0),
    "another class's object": (gt(A, names=("cat", "dog")), dt((A, 0.9, {"category_id": 2})), 0, 0),
    "equal scores keep the file's order": (gt(A), dt((FAR, 0.5), (A, 0.5)), 0.5, 0.5),
    "equal overlap: the first object": (gt([1, 1, 10, 10], ([1, 1, 10, 10], HARD)), dt(([1, 1, 10, 10], 0.9)), 1, 1),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_golden(case):
    ground_truth, detections, voc07, voc10 = GOLDEN[case]
    for metric, expected in (("voc07", voc07), ("voc10", voc10)):
        found = evaluate_voc(ground_truth, detections, metric)
        assert found.per_class["cat"] == pytest.approx(expected, rel=0, abs=1e-12, nan_ok=True)
        assert devkit(ground_truth, detections, 1, metric, 0.5) == pytest.approx(expected, rel=0, abs=1e-12, nan_ok=True)


def test_two_empty_boxes_do_not_overlap() -> None:
    nothing = [5, 5, 4, 4]  # neither width nor height
    with np.errstate(all="raise"):
        found = evaluate_voc(gt(A, nothing), dt((nothing, 0.9), (A, 0.8)), "voc10")
    assert found.mean_ap == pytest.approx(0.25)  # a half of the objects, at a precision of a half


def test_the_mean_leaves_out_classes_without_objects():
    found = evaluate_voc(gt(A, (B, {"category_id": 2}), names=("cat", "dog", "cow")), dt((A, 0.9)), "voc10")
    assert found.mean_ap == pytest.approx(0.5)
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["voc"] == {"metric": "voc10", "iou": 0.5, "mAP": 0.5, "per_class": {"cat": 1.0, "dog": 0.0, "cow": None}}
    counts = {"images": 1, "objects": 2, "difficult": 0, "detections": 1}
    assert content["meta"] == {"metric": "voc10", "iou": ">= 0.5", **counts}


def test_wrong_arguments():
    with pytest.raises(ConfigError, match=r"'voc12'.*did you mean 'voc10'"):
        evaluate_voc(gt(A), [], "voc12")
    with pytest.raises(ConfigError, match=r"'iou' must be in \(0, 1\], got 0"):
        evaluate_voc(gt(A), [], "voc07", iou=0)


def devkit(ground_truth, detections, category, metric, min_overlap):
    """AP of one class as VOCevaldet.m computes it: one detection at a time, 1-based inclusive corners."""
    objects = {}
    positives = 0
    for row in ground_truth["annotations"]:
        if row["category_id"] == category:
            x, y, width, height = row["bbox"]
            hard = bool(row.get("difficult") or row.get("ignore") or row.get("iscrowd"))
            objects.setdefault(row["image_id"], []).append([x + 1, y + 1, x + width, y + height, hard, False])
            positives += not hard
    mine = [row for row in detections if row["category_id"] == category]
    mine.sort(key=lambda row: -row["score"])  # stable
    right, false = [], []
    for row in mine:
        x, y, width, height = row["bbox"]
        bb = (x + 1, y + 1, x + width, y + height)
        best, best_overlap = None, -math.inf
        for item in objects.get(row["image_id"], []):
            overlap = devkit_iou(bb, item)
            if overlap > best_overlap:
                best, best_overlap = item, overlap
        if best is None or best_overlap < min_overlap:
            right.append(False)
            false.append(True)
        elif best[4]:
            right.append(False)
            false.append(False)
        else:
            right.append(not best[5])
            false.append(best[5])
            best[5] = True
    return devkit_ap(right, false, positives, metric)


def devkit_iou(a, b):
    wide = min(a[2], b[2]) - max(a[0], b[0]) + 1
    high = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if wide <= 0 or high <= 0:
        return -math.inf
    both = (a[2] - a[0] + 1) * (a[3] - a[1] + 1) + (b[2] - b[0] + 1) * (b[3] - b[1] + 1)
    return wide * high / (both - wide * high)


def devkit_ap(right, false, positives, metric):
    if not positives:
        return math.nan
    points, tp, fp = [], 0, 0
    for hit, miss in zip(right, false, strict=True):
        tp, fp = tp + hit, fp + miss
        if tp + fp:
            points.append((tp / positives, tp / (tp + fp)))
    if metric == "voc07":
        return sum(max((p for r, p in points if r >= t), default=0) for t in np.arange(0.0, 1.1, 0.1)) / 11
    area, last = 0.0, 0.0
    for recall in sorted({r for r, _ in points}):
        area += (recall - last) * max(p for r, p in points if r >= recall)
        last = recall
    return area


@settings(max_examples=150)
@given(st.integers(0, 2**31), st.integers(0, 12), st.integers(0, 30), st.sampled_from([0.25, 0.5, 0.75]))
def test_the_second_implementation_agrees(seed, objects, detections, iou):
    rng = np.random.default_rng(seed)

    def corners():  # small integers, so that overlaps tie and hit the threshold exactly
        low, side = rng.integers(1, 12, 2), rng.integers(1, 13, 2)
        return [*low.tolist(), *(low + side - 1).tolist()]

    def place():
        return {"image_id": int(rng.integers(1, 4)), "category_id": int(rng.integers(1, 3))}

    ground_truth = gt(
        *[(corners(), place() | {"difficult": int(rng.random() < 0.25)}) for _ in range(objects)],
        images=3,
        names=("cat", "dog"),
    )
    rows = dt(*[(corners(), float(rng.choice([0.2, 0.5, rng.random()])), place()) for _ in range(detections)])
    for metric in BOTH:
        found = evaluate_voc(ground_truth, rows, metric, iou)
        expected = [devkit(ground_truth, rows, category, metric, iou) for category in (1, 2)]
        assert [found.per_class["cat"], found.per_class["dog"]] == pytest.approx(expected, rel=0, abs=1e-12, nan_ok=True)
        measured = [value for value in expected if not math.isnan(value)]
        assert found.mean_ap == pytest.approx(np.mean(measured) if measured else math.nan, rel=0, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("metric", BOTH)
def test_real_annotations_with_jittered_boxes(shared_data, metric):
    truth = json.loads((shared_data / "coco_mini" / "annotations" / "instances_val2017.json").read_text())
    rng = np.random.default_rng(0)
    rows = []
    for row in truth["annotations"]:
        moved = np.array(row["bbox"]) + rng.normal(0, 0.1, 4) * np.tile(row["bbox"][2:], 2)
        place = {key: row[key] for key in ("image_id", "category_id")}
        rows.append({**place, "bbox": np.abs(moved).tolist(), "score": float(rng.random())})
    found = evaluate_voc(truth, rows, metric)
    for category in truth["categories"]:
        expected = devkit(truth, rows, category["id"], metric, 0.5)
        assert found.per_class[category["name"]] == pytest.approx(expected, rel=0, abs=1e-12, nan_ok=True)
    assert 0.3 < found.mean_ap < 1
