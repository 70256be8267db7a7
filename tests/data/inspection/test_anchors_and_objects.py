"""The measure of anchors against the network's own anchors, laid out on a whole map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from resdet.config.schema import DetectionRunConfig
from resdet.data.inspection.anchors import (
    Scale,
    best_overlaps,
    recall,
    resized_boxes,
    suggested_anchors,
    trained_rows,
)
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.models.detection.anchors import AnchorGrid, cell_anchors


def boxes_within(count: int, side: int, least: float, most: float) -> np.ndarray:
    rng = np.random.default_rng(count)
    sizes = np.exp(rng.uniform(np.log(least), np.log(most), (count, 2)))
    return np.concatenate([rng.uniform(0, 1, (count, 2)) * (side - sizes), sizes], axis=1)


@pytest.mark.parametrize(("sizes", "ratios"), [((32, 64, 128), (0.5, 1, 2)), ((20,), (0.3, 3)), ((150, 24), (1,))])
def test_the_best_anchor_is_that_of_the_whole_map(sizes, ratios) -> None:
    boxes = boxes_within(200, 480, 5, 300)
    anchors = AnchorGrid(cell_anchors(sizes, ratios), 16)(40, 40)
    corners = torch.from_numpy(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))
    # the cell's anchors are float32: a side of 500 is off by 3e-5 at most, and so an IoU of sides above 5 by less than 1e-4
    expected = box_iou(corners, anchors.double()).max(1).values.numpy()
    found = best_overlaps(boxes, sizes, ratios)
    assert found == pytest.approx(expected, abs=1e-4)
    assert recall(boxes, sizes, ratios, 0.5) == pytest.approx((expected >= 0.5).mean(), abs=0.011)  # a box may be at the limit


def test_recall_of_no_object_is_full() -> None:
    assert recall(np.zeros((0, 4)), (32,), (1,), 0.5) == 1


def test_suggested_anchors_are_the_sizes_and_shapes_of_clusters() -> None:
    rng = np.random.default_rng(0)
    sides = np.repeat([20.0, 90.0, 300.0], 200) * np.exp(rng.normal(0, 0.02, 600))
    ratios = np.tile([0.5, 2.0], 300)
    boxes = np.stack([np.zeros(600), np.zeros(600), sides / np.sqrt(ratios), sides * np.sqrt(ratios)], axis=1)
    sizes, shapes = suggested_anchors(boxes, 3, 2)
    assert sizes == pytest.approx((20, 90, 300), abs=1.5)
    assert shapes == pytest.approx((0.5, 2.0), abs=0.01)
    # more clusters than there are different boxes: each of them once
    assert suggested_anchors(np.array([[0, 0, 30.0, 30.0]] * 4), 3, 2) == ((30.0,), (1.0,))


def test_boxes_are_resized_as_the_network_s_input_is(small_set) -> None:
    scale = Scale(short_side=150, max_side=180)
    found = resized_boxes(small_set, scale)
    transform = DetectionTestTransform(150, 180)
    expected = []
    for index in range(len(small_set)):
        image, target = small_set.load(index)
        _, seen = transform(image, target)
        kept = ~seen.ignore
        expected += seen.boxes[kept].tolist()
    expected = np.array(expected)
    assert len(found) == len(trained_rows(small_set)) == len(expected)
    # the transform's boxes are float32
    assert np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], 1) == pytest.approx(expected, abs=1e-3)


def test_the_scale_of_a_run_is_its_middle_side_and_its_anchors() -> None:
    config = DetectionRunConfig()
    config.data.short_side = [700, 300, 500]
    config.data.max_side = 900
    config.model.anchors.sizes = [10.0, 20.0]
    scale = Scale.of(config.data, config.model)
    assert scale == Scale(500, 900, (10.0, 20.0), (0.5, 1.0, 2.0), chosen=True)
