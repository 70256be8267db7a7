"""Cards of earlier releases, whose options had other names."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_detectors import picture, same, tiny_config, tiny_detector
from tiny_localizers import localizer_config, tiny_localizer

from resdet.config.localization import LocalizerConfig
from resdet.config.schema import DetectorConfig
from resdet.errors import ConfigError
from resdet.models.build import load_localizer, load_model
from resdet.models.card_network import card_config
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.model_file import ModelCard, write_model
from resdet.structures import PIXEL_CONVENTIONS

# what version 0.1.0 wrote, but for the backbone, the anchors and numbers other than the defaults
DETECTOR = """{
    "backbone": {"name": "resnet18", "weights": "", "pixels": "auto", "stride_in_1x1": false, "shortcut": "auto", "width": 8,
                 "zero_init_last": false},
    "weights": "", "freeze_at": 2, "anchors": {"sizes": [16.0, 32.0], "ratios": [0.5, 1.0, 2.0]},
    "rpn": {"batch": 128, "positive_fraction": 0.5, "fg_iou": 0.6, "bg_iou": 0.2, "smooth_l1_beta": 0.1111111111111111,
            "pre_nms_train": 1200, "post_nms_train": 200, "pre_nms_test": 100, "post_nms_test": 20, "nms_iou": 0.6,
            "min_size": 0.0},
    "roi": {"pooling": "align", "pooled_size": 14, "sampling_ratio": 0, "batch": 64, "positive_fraction": 0.25, "fg_iou": 0.6,
            "bg_iou": 0.4, "smooth_l1_beta": 1.0, "context": false},
    "test": {"score_thresh": 0.05, "nms_iou": 0.4, "soft_nms": "none", "soft_nms_sigma": 0.5, "detections_per_image": 100,
             "refine": false, "vote_iou": 0.0, "flip": false, "short_sides": []}
}"""
LOCALIZER = """{
    "stage": "rpn",
    "backbone": {"name": "resnet18", "weights": "", "pixels": "auto", "stride_in_1x1": false, "shortcut": "auto", "width": 8,
                 "zero_init_last": false},
    "weights": "", "freeze_at": 0, "anchors": {"sizes": [32.0, 64.0], "ratios": [0.5, 1.0]},
    "rpn": {"batch": 16, "fg_iou": 0.6, "bg_iou": 0.2, "smooth_l1_beta": 0.1111111111111111},
    "rcnn": {"side": 64, "proposals": 200, "positive_fraction": 0.5, "fg_iou": 0.6, "smooth_l1_beta": 1.0},
    "test": {"views": "dense", "short_sides": [256], "proposals": 200, "nms_iou": 0.6, "vote_iou": 0.5}
}"""
PIXELS = PIXEL_CONVENTIONS["torchvision"].to_dict()
# the same networks in today's words
DETECTOR_SECTIONS: dict[str, dict[str, Any]] = {
    "rpn": {
        "batch_size_per_image": 128,
        "fg_iou_thresh": 0.6,
        "bg_iou_thresh": 0.2,
        "pre_nms_top_n_train": 1200,
        "post_nms_top_n_train": 200,
        "nms_thresh": 0.6,
    },
    "roi": {"batch_size_per_image": 64, "fg_iou_thresh": 0.6, "bg_iou_thresh": 0.4},
    "test": {"nms_thresh": 0.4},
}
LOCALIZER_SECTIONS: dict[str, Any] = {
    "rpn": {"batch_size_per_image": 16, "fg_iou_thresh": 0.6, "bg_iou_thresh": 0.2},
    "rcnn": {"side": 64, "fg_iou_thresh": 0.6},
    "test": {"nms_thresh": 0.6},
}


def test_a_detector_of_an_earlier_release_loads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "resdet")
    path, model = tmp_path / "old.safetensors", tiny_detector(**DETECTOR_SECTIONS)
    card = ModelCard("detection", json.loads(DETECTOR), list(model.names), PIXELS, {"short_side": 64, "max_side": 96})
    write_model(path, model.state_dict(), card)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing that a user could change
        loaded, _ = load_model(path)
        load_model(path)
    assert isinstance(loaded, FasterRCNN)
    assert card_config(path, card) == tiny_config(DETECTOR_SECTIONS)
    with torch.no_grad():
        assert same(loaded.detect([picture()])[0], model.detect([picture()])[0])
    (note,) = (record.getMessage() for record in caplog.records if "earlier release" in record.getMessage())
    assert note.startswith(
        f"{path}: its card is of an earlier release: 'model.rpn.batch' is now called 'batch_size_per_image', "
    )
    assert note.endswith("'model.test.nms_iou' is now called 'nms_thresh'")


def test_a_localizer_of_an_earlier_release_loads(tmp_path: Path) -> None:
    path, model = tmp_path / "old.safetensors", tiny_localizer(**LOCALIZER_SECTIONS)
    write_model(
        path, model.state_dict(), ModelCard("localization", json.loads(LOCALIZER), list(model.names), PIXELS, {"crop": 64})
    )
    loaded, config = load_localizer(path)
    assert config == localizer_config(**LOCALIZER_SECTIONS)
    for key, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor)


@pytest.mark.parametrize(
    ("task", "text", "kind"), [("detection", DETECTOR, DetectorConfig), ("localization", LOCALIZER, LocalizerConfig)]
)
def test_old_and_new_name_in_one_card(task: str, text: str, kind: type) -> None:
    card = ModelCard(task, json.loads(text), ["cat"], PIXELS, {})
    assert isinstance(card_config("a.safetensors", card), kind)
    card.architecture["test"]["nms_thresh"] = 0.5
    with pytest.raises(ConfigError) as caught:
        card_config("a.safetensors", card)
    assert caught.value.problems == (
        "a.safetensors: its card: option 'test.nms_iou' is the old name of 'test.nms_thresh', give only the new one",
    )
