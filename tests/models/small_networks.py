"""Small networks of configs, untrained, and their model files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from resdet.config import config_from_dict, config_to_dict
from resdet.config.schema import ClassifierConfig, DetectorConfig
from resdet.models.build import build_detector
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.model_file import ModelCard, write_model
from resdet.structures import Target

NAMES = ["cat", "dog", "emu"]
SMALL = {
    "backbone": {"name": "resnet18", "width": 4},
    "anchors": {"sizes": [16, 32]},
    "rpn": {
        "batch_size_per_image": 16,
        "pre_nms_top_n_train": 60,
        "post_nms_top_n_train": 20,
        "pre_nms_top_n_test": 60,
        "post_nms_top_n_test": 12,
    },
    "roi": {"batch_size_per_image": 8},
}


def detector_config(**sections: dict[str, Any] | int) -> DetectorConfig:
    values: dict[str, Any] = dict(SMALL)
    for name, change in sections.items():
        values[name] = {**values.get(name, {}), **change} if isinstance(change, dict) else change
    return config_from_dict(DetectorConfig, values)


def detector(**sections: dict[str, Any] | int) -> FasterRCNN:
    torch.manual_seed(0)
    return build_detector(detector_config(**sections), NAMES)


def images_and_targets() -> tuple[list[torch.Tensor], list[Target]]:
    images = [torch.randint(256, (3, 64, 80), dtype=torch.uint8), torch.randint(256, (3, 48, 64), dtype=torch.uint8)]
    boxes = torch.tensor([[4.0, 6.0, 40.0, 44.0]])
    return images, [
        Target(boxes, torch.tensor([2]), (64, 80)),
        Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (48, 64)),
    ]


def written(path: Path, model: FasterRCNN | Classifier, config: DetectorConfig | ClassifierConfig) -> Path:
    detection = isinstance(config, DetectorConfig)
    test = {"short_side": 64, "max_side": 80} if detection else {"short_side": 64, "crop": 56}
    task = "detection" if detection else "classification"
    card = ModelCard(task, config_to_dict(config), list(model.names), model.pixels.to_dict(), test)
    write_model(path, model.state_dict(), card)
    return path
