"""What is said before the first step, and when the first steps are timed."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import resdet
from resdet.data.formats.coco import read_coco
from resdet.data.inspection.anchors import Scale, best_overlaps, resized_boxes
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.models.detection.anchors import AnchorGrid, cell_anchors
from resdet.ops.iou import box_iou
from resdet.training.expected_time import ExpectedTime


def test_a_detector_s_start_is_told(tiny_coco: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = {"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)}
    values = {
        "task": "detection",
        "from_scratch": True,
        "model": {"backbone": {"name": "resnet18", "width": 4}, "anchors": {"sizes": [16, 32], "ratios": [1]}},
        "data": {"train": [source], "short_side": [64], "max_side": 96, "test_short_side": 64, "workers": 0},
        "optimizer": {"lr": 0.008, "base_batch": 16},
        "schedule": {"iterations": 5},
        "run": {"batch": 2, "kernels": "torch"},
        "output": str(tmp_path / "run"),
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    with caplog.at_level(logging.INFO, "resdet.training.start"), pytest.warns(UserWarning, match="frozen BN"):
        run = resdet.train(tmp_path / "run.yaml", device="cpu")
    told = dict(record.getMessage().split(": ", 1) for record in caplog.records if record.name == "resdet.training.start")
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    used = int((~dataset.ignore & ~dataset.empty).sum())
    overlaps = best_overlaps(resized_boxes(dataset, Scale(64, 96)), [16, 32], [1])
    assert told == {
        "images": "5",
        "classes": f"2: {', '.join(dataset.names)}",
        "objects": f"{used}",
        "anchors": f"2 a position; of the objects {(overlaps >= 0.5).mean():.0%} have one of IoU 0.5 or more, "
        f"{(overlaps >= 0.7).mean():.0%} have one of IoU 0.7 or more",
        "device": f"cpu, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}",
        "steps": "5 of 2 images, 2.0 passes over the training set",
        "learning rate": "0.001 (0.008 for 16 images)",
    }
    assert run.schedule.lr == 0.001


def test_overlaps_are_those_of_the_boxes_that_training_sees(tiny_coco: Any) -> None:
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    expected = []
    for index in range(len(dataset)):
        image, target = DetectionTestTransform(80, 200)(*dataset.load(index))
        anchors = AnchorGrid(cell_anchors([16, 32], [0.5, 1, 2]), 16)(-(-image.shape[1] // 16), -(-image.shape[2] // 16))
        expected += box_iou(target.boxes[~target.ignore], anchors).amax(1).tolist()
    boxes = resized_boxes(dataset, Scale(80, 200, (16, 32), (0.5, 1, 2)))
    assert len(expected) > 5
    np.testing.assert_allclose(best_overlaps(boxes, [16, 32], [0.5, 1, 2]), expected, rtol=1e-4)


def test_the_time_is_told_once_and_from_the_median(caplog: pytest.LogCaptureFixture) -> None:
    hook = ExpectedTime()
    with caplog.at_level(logging.INFO, "resdet.training.expected_time"):
        for iteration in range(1, 40):
            seconds = 100.0 if iteration <= 3 or iteration == 7 else 0.5  # cold caches, and a hiccup
            hook.after_step(SimpleNamespace(step_time=seconds, iteration=iteration, iterations=613))  # type: ignore[arg-type]
    assert [record.getMessage() for record in caplog.records] == [
        "time: about 5 minutes for the 600 steps that are left, 0.5 s each"
    ]
