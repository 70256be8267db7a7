"""What the tests of whole commands share: a small generated data set, run files for it, and one run of each trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from error_lab import Lab
from PIL import Image
from run_files import RunFile, changed, write_run_file

from resdet.cli import main
from resdet.data.synthetic.scenes import make_shapes

BACKBONE = {"name": "resnet18", "width": 8}


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training and 6 validation images of 96 pixels, as boxes and as crops."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    make_shapes(folder, train=24, val=6, size=96, seed=0)
    return folder


@pytest.fixture(scope="session")
def detection_values(shapes: Path) -> RunFile:
    """A detection run file of 20 quick steps, with all the augmentation there is."""

    def source(split: str) -> RunFile:
        annotations = shapes / "annotations" / f"instances_{split}.json"
        return {"format": "coco", "root": str(shapes / "images" / split), "annotations": str(annotations)}

    return {
        "task": "detection",
        "from_scratch": True,
        "model": {
            "backbone": dict(BACKBONE),
            "freeze_at": 0,
            "anchors": {"sizes": [12, 24, 48]},
            "rpn": {
                "batch_size_per_image": 32,
                "pre_nms_top_n_train": 100,
                "post_nms_top_n_train": 30,
                "pre_nms_top_n_test": 100,
                "post_nms_top_n_test": 20,
            },
            "roi": {"batch_size_per_image": 16},
        },
        "data": {
            "train": [source("train")],
            "val": source("val"),
            "short_side": [64, 72, 80],
            "max_side": 96,
            "test_short_side": 64,
            "hflip": 0.5,
            "workers": 2,
        },
        "optimizer": {"lr": 0.005},
        "schedule": {"iterations": 20, "milestones": [12, 17], "warmup_iterations": 5},
        "run": {"batch": 2, "seed": 3, "log_every": 3, "checkpoint_every": 10},
    }


@pytest.fixture(scope="session")
def classification_values(shapes: Path) -> RunFile:
    """A classification run file of 20 quick steps, with all the augmentation there is."""
    return {
        "task": "classification",
        "model": {"backbone": dict(BACKBONE)},
        "data": {
            "train": {"format": "folder", "root": str(shapes / "crops" / "train")},
            "val": {"format": "folder", "root": str(shapes / "crops" / "val")},
            "crop": 32,
            "short_side": [32, 48],
            "test_short_side": 32,
            "pad": 2,
            "hflip": 0.5,
            "lighting": 0.1,
            "workers": 2,
        },
        "optimizer": {"lr": 0.02},
        "schedule": {"iterations": 20, "milestones": [12, 17], "warmup_iterations": 5},
        "run": {"batch": 2, "seed": 3, "log_every": 3, "checkpoint_every": 10},
        "recompute_bn": 16,
    }


@pytest.fixture(scope="session")
def classifier_run(classification_values: RunFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished ``train-cls``, without workers."""
    folder = tmp_path_factory.mktemp("classifier")
    values = changed(classification_values, {"data.workers": 0, "run.batch": 8})
    assert (
        main(["train-cls", "--config", str(write_run_file(folder / "cls.yaml", values)), "--output", str(folder / "run")]) == 0
    )
    return folder / "run"


@pytest.fixture(scope="session")
def detector_run(detection_values: RunFile, classifier_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished ``train-det`` that began with the classifier's weights, without workers.

    Its threshold of scores is low: after 20 steps a detector is sure of nothing, and of how little depends on torch's release.
    """
    folder = tmp_path_factory.mktemp("detector")
    weights = str(classifier_run / "model.safetensors")
    options = {"model.backbone.weights": weights, "data.workers": 0, "model.freeze_at": 1}
    values = changed(detection_values, {**options, "model.test.score_thresh": 0.002})
    assert (
        main(["train-det", "--config", str(write_run_file(folder / "det.yaml", values)), "--output", str(folder / "run")]) == 0
    )
    return folder / "run"


@pytest.fixture
def run_file(tmp_path: Path) -> Callable[..., str]:
    """Writes values, some changed, to a run file of its own, and returns its path."""

    def write(values: RunFile, changes: RunFile | None = None, name: str = "run.yaml") -> str:
        return str(write_run_file(tmp_path / name, changed(values, changes or {})))

    return write


@pytest.fixture
def lab(
    tmp_path: Path, tiny_coco: Any, classification_values: dict, detection_values: dict, request: pytest.FixtureRequest
) -> Lab:
    """What a row of the tables of mistakes may break."""
    crops = tmp_path / "crops"
    for name, color in (("blue", (0, 0, 200)), ("red", (200, 0, 0))):
        (crops / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (40, 40), color).save(crops / name / f"{number}.png")
    source = {"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)}
    few = {"schedule": {"iterations": 3}, "data.workers": 0, "run.checkpoint_every": 1}
    detection = changed(detection_values, {**few, "data.train": [source], "data.val": {}})
    folders = {"data.train": {"root": str(crops)}, "data.val": {}, "recompute_bn": 0}
    classification = changed(classification_values, {**few, **folders})
    runs = (request.getfixturevalue(name) for name in ("classifier_run", "detector_run"))
    return Lab(tmp_path, tiny_coco, crops, detection, classification, *runs)
