"""From configs to backbones, and the weights that go into them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rounding import assert_near, network
from small_networks import NAMES, detector, detector_config, written

from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.models.build import build_backbone, build_classifier, build_detector
from resdet.structures import PIXEL_CONVENTIONS

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN has mean 0")  # nothing is trained here


@pytest.mark.parametrize(("pixels", "expected"), [("auto", "torchvision"), ("torchvision", "torchvision"), ("msra", "msra")])
def test_pixels_without_weights(pixels: str, expected: str) -> None:
    _, convention = build_backbone(BackboneConfig("resnet18", width=4, pixels=pixels), 3)
    assert convention == PIXEL_CONVENTIONS[expected]


def test_weights_of_a_classifier_go_into_a_detector(tmp_path: Path) -> None:
    """Also its pixel convention, and as frozen BN: the trunk computes what the classifier's stages do."""
    torch.manual_seed(1)
    config = ClassifierConfig(BackboneConfig("resnet18", width=4, pixels="msra"))
    classifier = build_classifier(config, ["a", "b"]).train()
    images = torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8)
    classifier(images)  # BN statistics that are not those of a fresh network
    classifier.eval()
    path = written(tmp_path / "cls.safetensors", classifier, config)
    model = detector(backbone={"weights": str(path)}).eval()
    assert model.pixels == PIXEL_CONVENTIONS["msra"]
    backbone = classifier.backbone
    with torch.no_grad():
        values = classifier.pixels.normalize(images)
        expected = backbone.maxpool(backbone.relu(backbone.bn1(backbone.conv1(values))))
        for stage in (backbone.layer1, backbone.layer2, backbone.layer3):
            expected = stage(expected)
        assert_near(model.trunk(values), expected, network(14, 9 * 16, torch.float32))


def test_weights_of_a_detector_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "det.safetensors", detector(), detector_config())
    with pytest.raises(ConfigError, match=r"det\.safetensors: holds a detector; option 'model\.backbone\.weights' takes"):
        build_backbone(BackboneConfig("resnet18", width=4, weights=str(path)), 3)


def test_weights_that_do_not_show_what_they_want_are_told_to_the_one_who_asks(tmp_path: Path) -> None:
    torch.save(create_backbone("resnet18", num_classes=3, width=4).state_dict(), tmp_path / "w.pth")
    with pytest.warns(UserWarning, match=r"w\.pth: neither a card nor BN statistics nor its name shows what these") as caught:
        build_backbone(BackboneConfig("resnet18", width=4, weights=str(tmp_path / "w.pth")), 3)
    assert [warning.filename for warning in caught] == [__file__]


def test_frozen_statistics_that_were_never_loaded_are_told_to_the_one_who_asks() -> None:
    with pytest.warns(UserWarning, match=r"^frozen BN has mean 0 and variance 1 in every layer") as caught:
        build_detector(detector_config(), NAMES)
    assert [warning.filename for warning in caught] == [__file__]
