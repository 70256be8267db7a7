"""The localization run files: the paper's numbers, and stages that fit each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdet.config import load_config
from resdet.config.schema import LocalizationRunConfig


def loaded(name: str) -> LocalizationRunConfig:
    config = load_config(name)
    assert isinstance(config, LocalizationRunConfig)
    return config


def test_the_settings_of_the_paper() -> None:
    rpn, rcnn = loaded("imagenet_loc_r101_rpn"), loaded("imagenet_loc_r101_rcnn")
    for config in (rpn, rcnn):
        assert config.model.backbone.name == "resnet101"
        assert (config.data.crop, config.run.batch) == (224, 256)
        assert (config.model.test.views, config.model.test.vote_iou) == ("dense", 0.5)
    assert rpn.model.rpn.batch_size_per_image == 8
    assert (rcnn.model.rcnn.side, rcnn.model.rcnn.proposals, rcnn.model.test.proposals) == (224, 200, 200)


@pytest.mark.parametrize(
    ("first", "second"), [("imagenet_loc_r101_rpn", "imagenet_loc_r101_rcnn"), ("tiny_loc_r18", "tiny_loc_r18_rcnn")]
)
def test_the_second_stage_starts_from_the_first(first: str, second: str) -> None:
    rpn, rcnn = loaded(first), loaded(second)
    assert (rpn.model.stage, rcnn.model.stage) == ("rpn", "rcnn")
    assert Path(rcnn.model.weights) == Path(rpn.output) / "model.safetensors"
    assert (rcnn.model.backbone, rcnn.model.anchors) == (rpn.model.backbone, rpn.model.anchors)
    assert rcnn.output != rpn.output
