from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from resdet.report import Sample, contact_sheet, draw_target
from resdet.structures import Detections, Target
from resdet.structures.drawing import class_color

NAMES = ("cat", "dog")


def target(size, ignore=False):
    height, width = size
    box = [width * 0.25, height * 0.25, width * 0.75, height * 0.75]
    return Target(torch.tensor([box]), torch.tensor([1]), size, ignore=torch.tensor([ignore]))


def detections(size, score=0.9):
    truth = target(size)
    return Detections(truth.boxes, torch.tensor([score]), truth.labels, size, NAMES)


def sample(width=320, height=240, score=0.9):
    return Sample(
        Image.new("RGB", (width, height), (90, 90, 90)), target((height, width)), detections((height, width), score), NAMES
    )


def count(picture, color):
    return int((np.asarray(picture) == color).all(2).sum())


def test_boxes_follow_the_size_of_the_picture():
    small = draw_target(Image.new("RGB", (160, 120)), target((240, 320)), NAMES)
    assert tuple(np.asarray(small)[60, 40]) == class_color(1)
    assert tuple(np.asarray(detections((240, 320)).draw(Image.new("RGB", (640, 480))))[300, 160]) == class_color(1)


def test_ignored_objects_are_grey():
    picture = draw_target(Image.new("RGB", (320, 240)), target((240, 320), ignore=True), NAMES)
    assert count(picture, class_color(1)) == 0
    assert count(picture, (150, 150, 150)) > 100


def test_an_image_without_anything():
    image = Image.new("RGB", (50, 40), (1, 2, 3))
    empty = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), (40, 50))
    assert count(empty.draw(image), (1, 2, 3)) == 50 * 40
    assert (
        count(draw_target(image, Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (40, 50)), NAMES), (1, 2, 3))
        == 2000
    )


def test_names_default_to_numbers():
    bare = Detections(torch.tensor([[5.0, 5.0, 30.0, 30.0]]), torch.ones(1), torch.tensor([0]), (40, 50))
    assert count(bare.draw(Image.new("RGB", (50, 40))), class_color(0)) > 20


@pytest.mark.parametrize("max_width", [200, 801, 1600])
@pytest.mark.parametrize("number", [1, 2, 3, 9])
def test_the_sheet_keeps_its_limits(max_width, number):
    sheet = contact_sheet([sample(), sample(240, 320), sample(90, 30)] * 3, rows=number, max_width=max_width)
    assert sheet.width <= max_width
    assert sheet.width > max_width - 20
    few = contact_sheet([sample()] * number, rows=2, max_width=max_width)
    assert few.height < max_width


def test_ground_truth_is_left_and_detections_are_right():
    sheet = contact_sheet([sample()], max_width=800)
    left, right = sheet.crop((0, 0, 400, sheet.height)), sheet.crop((400, 0, 800, sheet.height))
    assert count(left, class_color(1)) > 100
    assert count(right, class_color(1)) > 100
    poor = contact_sheet([sample(score=0.4)], max_width=800)  # below the score
    assert count(poor.crop((0, 0, 400, poor.height)), class_color(1)) > 100
    assert count(poor.crop((400, 0, 800, poor.height)), class_color(1)) == 0


def test_a_sheet_of_nothing():
    with pytest.raises(ValueError, match="needs samples"):
        contact_sheet([])
    with pytest.raises(ValueError, match="80 pixels"):
        contact_sheet([sample()], max_width=60)
