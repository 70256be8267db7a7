"""COCO metrics: both backends against the official code, on random files and on real annotations."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from official_coco import BACKENDS, official_numbers

from resdet.evaluation import evaluate_coco


def random_case(seed, images, categories, objects, detections):
    """An adversarial file: coarse coordinates and scores make ties, ids have gaps, some rows are crowds, some boxes empty."""
    rng = np.random.default_rng(seed)
    image_ids = rng.choice(10_000_000, images, replace=False).tolist()
    category_ids = (1 + rng.choice(500, categories, replace=False)).tolist()

    def boxes(count):
        scale = rng.choice([20, 60, 200])
        corner = rng.integers(0, 8, (count, 2)) * scale / 8
        side = rng.integers(0 if rng.random() < 0.3 else 1, 9, (count, 2)) * scale / 8
        return np.concatenate([corner, side], 1)

    ground, found = [], []
    for number, box in enumerate(boxes(objects).tolist()):
        ground.append(
            {
                "id": 1000 - 3 * number,
                "image_id": image_ids[rng.integers(images)],
                "category_id": category_ids[rng.integers(categories)],
                "bbox": box,
                "area": float(box[2] * box[3] * rng.choice([1, 0.5])),
                "iscrowd": int(rng.random() < 0.15),
                "ignore": int(rng.random() < 0.1),
            }
        )
    for box in boxes(detections).tolist():
        if ground and rng.random() < 0.6:
            near = ground[rng.integers(len(ground))]
            where = (near["image_id"], near["category_id"])
            box = [value + rng.choice([0, 0, 0.5, 1, 3]) for value in near["bbox"]]
        else:
            where = (image_ids[rng.integers(images)], category_ids[rng.integers(categories)])
        score = float(rng.choice([0.1, 0.5, 0.9])) if rng.random() < 0.6 else float(rng.random())
        found.append({"image_id": where[0], "category_id": where[1], "bbox": [float(value) for value in box], "score": score})
    truth = {
        "images": [{"id": key} for key in image_ids],
        "categories": [{"id": key, "name": str(key)} for key in category_ids],
        "annotations": ground,
    }
    return truth, found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 4), st.integers(0, 25), st.integers(0, 40), st.floats(0.1, 1000)
)
def test_both_backends_are_the_official_numbers_bit_for_bit(seed, images, categories, objects, detections, stretch):
    truth, found = random_case(seed, images, categories, objects, detections)
    for row in (*truth["annotations"], *found):
        row["bbox"] = [value * stretch for value in row["bbox"]]
    assert_official(truth, found)


def test_more_than_100_detections_an_image():
    assert_official(*random_case(1, 2, 2, 60, 900))


def assert_official(truth, found):
    mine = {backend: evaluate_coco(truth, found, backend=backend) for backend in BACKENDS}
    a, b = (mine[backend] for backend in BACKENDS)
    assert list(a.bbox.values()) == pytest.approx(list(b.bbox.values()), abs=0, rel=0, nan_ok=True)
    assert list(a.per_class) == list(b.per_class)
    for name, values in a.per_class.items():
        assert list(values.values()) == pytest.approx(list(b.per_class[name].values()), abs=0, rel=0, nan_ok=True)
    if found:
        expected = official_numbers(truth, found)
        assert list(a.bbox.values()) == pytest.approx(expected, abs=0, rel=0, nan_ok=True)


def test_real_annotations_with_jittered_boxes(shared_data):
    path = shared_data / "coco_mini" / "annotations" / "instances_val2017.json"
    truth = json.loads(path.read_text())
    rng = np.random.default_rng(0)
    found = []
    for row in truth["annotations"]:
        box = np.array(row["bbox"])
        for _ in range(rng.integers(0, 3)):
            moved = box + rng.normal(0, 0.05, 4) * np.tile(box[2:], 2)
            moved[2:] = np.abs(moved[2:])
            found.append(
                {**{key: row[key] for key in ("image_id", "category_id")}, "bbox": moved.tolist(), "score": rng.random()}
            )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate_coco(path, found)
    assert 0.1 < result.bbox["AP"] < 0.9
    assert_official(truth, found)
    empty = [row["name"] for row in truth["categories"] if row["id"] not in {a["category_id"] for a in truth["annotations"]}]
    assert [name for name, values in result.to_dict()["per_class"].items() if values["AP"] is None] == empty
