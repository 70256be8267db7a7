"""From names to networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_networks import written

from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.errors import ConfigError
from resdet.models.build import build_classifier, create_model
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.structures import PIXEL_CONVENTIONS

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN has mean 0")  # nothing is trained here


@pytest.mark.parametrize(("name", "depth"), [("faster_rcnn_r18_c4", 18), ("faster_rcnn_r50_c4", 50)])
def test_create_a_detector_by_name(name: str, depth: int) -> None:
    model = create_model(name, num_classes=20)
    assert isinstance(model, FasterRCNN)
    assert model.roi_heads.num_classes == 20
    assert model.trunk.out_channels == {18: 256, 50: 1024}[depth]
    assert model.names == tuple(map(str, range(20)))


@pytest.mark.parametrize("name", ["resnet18", "plain18", "cifar_resnet20"])
def test_create_a_classifier_by_name(name: str) -> None:
    model = create_model(name, num_classes=7).eval()
    assert isinstance(model, Classifier)
    assert model(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).shape == (1, 7)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", r"unknown backbone 'resnet19' \(did you mean 'resnet1"),
        ("faster_rcnn_r19_c4", r"unknown backbone 'resnet19'"),
        ("faster_rcnn_r50_fpn", r"unknown backbone 'faster_rcnn_r50_fpn'"),
        ("", r"unknown backbone ''"),
    ],
)
def test_create_an_unknown_model(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_model(name, num_classes=3)


def test_create_with_weights(tmp_path: Path) -> None:
    config = ClassifierConfig(BackboneConfig("resnet18", pixels="msra"))
    classifier = build_classifier(config, ["a", "b"])
    path = written(tmp_path / "cls.safetensors", classifier, config)
    model = create_model("faster_rcnn_r18_c4", num_classes=3, weights=str(path))
    assert isinstance(model, FasterRCNN)
    assert model.pixels == PIXEL_CONVENTIONS["msra"]
    assert torch.equal(model.trunk.conv1.weight, classifier.backbone.conv1.weight)
    with pytest.raises(ConfigError, match=r"pixel convention is msra, option 'model\.backbone\.pixels' asks for torchvision"):
        create_model("resnet18", num_classes=2, weights=str(path), pixels="torchvision")
