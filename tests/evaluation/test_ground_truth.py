"""The ground truth of a data set's arrays is that of the dict that the data set writes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resdet.data.dataset import DetectionDataset
from resdet.evaluation import CocoEvaluator, score_detections
from resdet.evaluation.ground_truth import GroundTruth


@st.composite
def datasets(draw):
    """Data sets whose image and category ids are in any order, with images without objects, and classes of one name."""
    count, classes = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    per_image = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    objects = sum(per_image)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    flags = [rng.random(objects) < 0.3 for _ in range(4)]
    return DetectionDataset(
        names=tuple(draw(st.lists(st.sampled_from(["cat", "dog", "crane"]), min_size=classes, max_size=classes))),
        category_ids=tuple(draw(st.lists(st.integers(0, 90), min_size=classes, max_size=classes, unique=True))),
        source="made",
        files=np.array([b"photo.png"] * count),
        ids=np.array(draw(st.lists(st.integers(0, 999), min_size=count, max_size=count, unique=True))),
        sizes=rng.integers(1, 99, (count, 2)),
        offsets=np.concatenate([[0], np.cumsum(per_image)]),
        boxes=rng.random((objects, 4)) * 50,
        labels=rng.integers(0, classes, objects),
        crowd=flags[0],
        difficult=flags[1],
        ignore=flags[2],
        empty=flags[3],
        areas=rng.random(objects) * 100,
        annotation_ids=rng.permutation(objects) + draw(st.integers(-1, 2)),
    )


@settings(max_examples=60)
@given(datasets())
def test_a_dataset_and_its_dict_are_one_ground_truth(dataset):
    arrays, expected = GroundTruth.from_dataset(dataset), GroundTruth.from_dict(dataset.ground_truth())
    for field in dataclasses.fields(GroundTruth):
        found, wanted = getattr(arrays, field.name), getattr(expected, field.name)
        assert type(found) is type(wanted)
        assert np.array_equal(found, wanted), field.name
        if isinstance(wanted, np.ndarray):
            assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), field.name
    assert all(type(key) is int for key in (*arrays.image_ids, *arrays.category_ids))


@settings(max_examples=20)
@given(datasets())
def test_an_evaluator_takes_either(dataset):
    truths = (GroundTruth.from_dataset(dataset), dataset.ground_truth())
    metrics = ("coco", "voc10")
    with pytest.warns(UserWarning, match="never processed"):
        first, second = (CocoEvaluator(truth, dataset.category_ids, dataset.names, metrics).evaluate() for truth in truths)
    assert first == second == score_detections(truths[0], [], metrics)


def test_boxes_of_whole_numbers_are_float64_too():
    images, categories = [{"id": 1}], [{"id": 1, "name": "cat"}]
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [3, 4, 5, 6]}
    found = GroundTruth.from_dict({"images": images, "categories": categories, "annotations": [annotation]})
    assert found.boxes.dtype == found.area.dtype == np.float64
    assert (found.boxes.tolist(), found.area.tolist()) == ([[3, 4, 5, 6]], [30])


def test_sizes_that_a_file_does_not_have():
    images = [{"id": 2, "width": 30}, {"id": 1, "height": 20, "width": 10}]
    found = GroundTruth.from_dict({"images": images, "categories": [], "annotations": []})
    assert found.sizes.tolist() == [[10, 20], [30, np.inf]]
    assert GroundTruth.from_dict({"images": [], "categories": [], "annotations": []}).sizes.shape == (0, 2)


def test_null_is_as_if_missing():
    row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 10]}
    nulls = dict.fromkeys(("area", "iscrowd", "difficult", "ignore"))
    plain, null = (
        GroundTruth.from_dict({"images": [{"id": 1, **size}], "categories": [{"id": 1}], "annotations": [annotation]})
        for size, annotation in (({}, row), ({"width": None, "height": None}, {**row, **nulls}))
    )
    for field in dataclasses.fields(GroundTruth):
        assert np.array_equal(getattr(null, field.name), getattr(plain, field.name)), field.name
    assert null.area.tolist() == [200]
