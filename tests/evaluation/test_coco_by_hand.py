"""COCO's numbers against a second implementation, by loops, and against the official tools through our reader."""

import contextlib
import io
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from resdet.data.formats.coco import read_coco
from resdet.evaluation import evaluate_coco

RANGES = ((0, 1e10), (0, 1024), (1024, 9216), (9216, 1e10))


def overlap(found, truth, crowd):
    w = min(found[0] + found[2], truth[0] + truth[2]) - max(found[0], truth[0])
    h = min(found[1] + found[3], truth[1] + truth[3]) - max(found[1], truth[1])
    both = w * h if w > 0 and h > 0 else 0.0
    union = found[2] * found[3] if crowd else found[2] * found[3] + truth[2] * truth[3] - both
    return both / union if union else 0.0


def match(objects, found, threshold, low, high):
    """(score, right) of one image and class for each detection that counts, and how many objects count."""
    aside = [row["iscrowd"] == 1 or not low <= row["area"] <= high for row in objects]
    visits = sorted(range(len(objects)), key=lambda index: aside[index])
    taken, outcome = set(), []
    for row in found:
        best, chosen = min(threshold, 1 - 1e-10), None
        for index in visits:
            crowd = objects[index]["iscrowd"] == 1
            if index in taken and not crowd:
                continue
            if chosen is not None and not aside[chosen] and aside[index]:
                break  # a real object in hand is not given up for one that is set aside
            value = overlap(row["bbox"], objects[index]["bbox"], crowd)
            if value >= best:
                best, chosen = value, index
        if chosen is not None:
            taken.add(chosen)
            if not aside[chosen]:
                outcome.append((row["score"], True))
        elif low <= row["bbox"][2] * row["bbox"][3] <= high:
            outcome.append((row["score"], False))
    return outcome, aside.count(False)


def average(truth, detections, category, threshold, size, most):
    """(average precision, recall) of one class; None where no object counts."""
    low, high = RANGES[size]
    outcome, positives = [], 0
    for image in sorted(row["id"] for row in truth["images"]):
        here = [row for row in truth["annotations"] if (row["image_id"], row["category_id"]) == (image, category)]
        found = [row for row in detections if (row["image_id"], row["category_id"]) == (image, category)]
        found.sort(key=lambda row: -row["score"])
        counted, some = match(here, found[:most], threshold, low, high)
        outcome += counted
        positives += some
    if not positives:
        return None
    outcome.sort(key=lambda item: -item[0])
    points, right = [], 0
    for number, (_, hit) in enumerate(outcome, 1):
        right += hit
        points.append((right / positives, right / number))
    grid = [max((p for r, p in points if r >= level), default=0.0) for level in np.linspace(0, 1, 101)]
    return sum(grid) / 101, right / positives


def numbers(truth, detections):
    """The twelve numbers."""
    thresholds = np.linspace(0.5, 0.95, 10)
    categories = [row["id"] for row in truth["categories"]]

    def mean(which, chosen, size, most=100):
        values = [average(truth, detections, key, t, size, most) for key in categories for t in chosen]
        values = [value[which] for value in values if value is not None]
        return sum(values) / len(values) if values else math.nan

    precision = [mean(0, thresholds, 0), mean(0, thresholds[:1], 0), mean(0, thresholds[5:6], 0)]
    precision += [mean(0, thresholds, size) for size in (1, 2, 3)]
    recall = [mean(1, thresholds, 0, most) for most in (1, 10, 100)]
    return precision + recall + [mean(1, thresholds, size) for size in (1, 2, 3)]


def a_case(seed, images, categories, objects, detections):
    """Coarse boxes and scores, so that overlaps and scores tie; ids with gaps; crowds; boxes without area; areas of masks."""
    rng = np.random.default_rng(seed)
    image_ids = (7 + 13 * rng.permutation(images)).tolist()
    category_ids = (2 + 5 * rng.permutation(categories)).tolist()

    def box():
        scale = float(rng.choice([4, 12, 40]))
        return [*(rng.integers(0, 5, 2) * scale).tolist(), *(rng.integers(0, 6, 2) * scale).tolist()]

    def place():
        return {"image_id": image_ids[rng.integers(images)], "category_id": category_ids[rng.integers(categories)]}

    truth = {
        "images": [{"id": key, "file_name": f"{key}.png", "width": 400, "height": 400} for key in image_ids],
        "categories": [{"id": key, "name": str(key)} for key in category_ids],
        "annotations": [],
    }
    for number in range(objects):
        row = {"id": 100 - number, **place(), "bbox": box(), "iscrowd": int(rng.random() < 0.2)}
        truth["annotations"].append({**row, "area": row["bbox"][2] * row["bbox"][3] * float(rng.choice([1, 0.75]))})
    found = []
    for _ in range(detections):
        near = truth["annotations"][rng.integers(objects)] if objects and rng.random() < 0.7 else None
        where = {key: near[key] for key in ("image_id", "category_id")} if near else place()
        bbox = [value + float(rng.choice([0, 0, 0, 1, 2])) for value in near["bbox"]] if near else box()
        found.append({**where, "bbox": bbox, "score": float(rng.choice([0.25, 0.5, rng.random()]))})
    return truth, found


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.integers(0, 10), st.integers(0, 20))
def test_the_second_implementation_agrees(seed, images, categories, objects, detections):
    truth, found = a_case(seed, images, categories, objects, detections)
    assert list(evaluate_coco(truth, found).bbox.values()) == pytest.approx(
        numbers(truth, found), rel=0, abs=1e-12, nan_ok=True
    )


def test_more_than_100_detections_of_a_class():
    truth, found = a_case(3, 1, 1, 6, 140)
    assert len(found) > 100
    assert list(evaluate_coco(truth, found).bbox.values()) == pytest.approx(
        numbers(truth, found), rel=0, abs=1e-12, nan_ok=True
    )


def official(path, found):
    """The tools' numbers from the file itself."""
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO(str(path))
        run = COCOeval(data, data.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return [math.nan if value == -1 else value for value in run.stats]


@pytest.mark.parametrize("backend", ["hotcoco", "pycocotools"])
@pytest.mark.parametrize("seed", range(6))
def test_a_file_read_by_us_has_the_official_numbers(tmp_path: Path, seed: int, backend: str) -> None:
    truth, found = a_case(seed, 3, 2, 14, 30)
    truth["annotations"][0] |= {"bbox": [20.0, 20.0, 0.0, 12.0], "area": 0.0, "iscrowd": 0}  # an object for the tools
    truth["annotations"][1] |= {"bbox": [20.0, 20.0, 0.0, 0.0], "area": 90.0, "iscrowd": 0}
    found.append({key: truth["annotations"][0][key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9})
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(truth))
    for row in truth["images"]:
        Image.new("L", (400, 400)).save(tmp_path / row["file_name"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = read_coco(tmp_path, path)
    assert dataset.empty.sum() >= 2
    assert all(target.boxes.shape == (len(target), 4) for target in map(dataset.target, range(3)))
    assert sum(len(dataset.target(index)) for index in range(3)) == 14 - dataset.empty.sum()
    mine = evaluate_coco(dataset.ground_truth(), found, backend=backend).bbox
    assert list(mine.values()) == pytest.approx(official(path, found), rel=0, abs=1e-12, nan_ok=True)
    without = {**truth, "annotations": truth["annotations"][2:]}
    assert list(mine.values()) != pytest.approx(list(evaluate_coco(without, found).bbox.values()), nan_ok=True)
