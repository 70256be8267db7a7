"""New networks by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from resdet.config.localization import LocalizerConfig
from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectorConfig
from resdet.errors import ConfigError
from resdet.inference.save import save
from resdet.models.backbones.registry import list_backbones
from resdet.models.build import build_classifier, build_detector, build_localizer, create_model, list_models
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.structures import PIXEL_CONVENTIONS

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN has mean 0")


@pytest.mark.parametrize(("name", "depth"), [("faster_rcnn_r18_c4", 18), ("faster_rcnn_r50_c4", 50)])
def test_create_a_detector_by_name(name: str, depth: int) -> None:
    model = create_model(name, num_classes=20)
    assert isinstance(model, FasterRCNN)
    assert model.roi_heads.num_classes == 20
    assert model.trunk.out_channels == {18: 256, 50: 1024}[depth]
    assert model.names == tuple(map(str, range(20)))


@pytest.mark.parametrize("name", ["resnet18", "plain18", "cifar_resnet20", "cifar_resnet26"])
def test_create_a_classifier_by_name(name: str) -> None:
    model = create_model(name, num_classes=7).eval()
    assert isinstance(model, Classifier)
    assert model(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).shape == (1, 7)


@pytest.mark.parametrize(("name", "kind"), [("per_class_rpn_r18", PerClassRPN), ("per_class_rcnn_r18", RegionLocalizer)])
def test_create_a_localizer_by_name(name: str, kind: type) -> None:
    model = create_model(name, names=["cat", "dog"])
    assert type(model) is kind
    assert model.names == ("cat", "dog")


def test_the_names_of_all_models() -> None:
    names = list_models()
    backbones = list_backbones()
    assert names[: len(backbones)] == backbones
    assert len(names) == len(set(names))
    for form in ("faster_rcnn_r{}_c4", "per_class_rpn_r{}", "per_class_rcnn_r{}"):
        assert {form.format(depth) for depth in (18, 34, 50, 101, 152, "50d")} <= set(names)
    for form in ("faster_rcnn_{}_c4", "per_class_rpn_{}", "per_class_rcnn_{}"):
        assert {form.format(short) for short in ("x50_32x4d", "x101_32x8d", "wr50_2", "wr101_2")} <= set(names)


def test_every_listed_classifier_can_be_made() -> None:
    with torch.device("meta"):  # their shapes alone: one has 1202 layers
        assert all(isinstance(create_model(name, num_classes=2), Classifier) for name in list_backbones())


# those of 101 and 152 layers have the same parts as their smaller siblings
_OF_BACKBONES = [name for name in list_models() if name not in list_backbones() and "101" not in name and "152" not in name]


@pytest.mark.parametrize("name", _OF_BACKBONES)
def test_every_listed_detector_and_localizer_can_be_made(name: str) -> None:
    assert isinstance(create_model(name, num_classes=2), (FasterRCNN, PerClassRPN, RegionLocalizer))


@pytest.mark.parametrize(
    ("name", "build", "config"),
    [
        ("resnet18", build_classifier, ClassifierConfig(BackboneConfig("resnet18"))),
        ("faster_rcnn_r18_c4", build_detector, DetectorConfig(BackboneConfig("resnet18"))),
        ("per_class_rpn_r18", build_localizer, LocalizerConfig("rpn", BackboneConfig("resnet18"))),
        ("per_class_rcnn_r18", build_localizer, LocalizerConfig("rcnn", BackboneConfig("resnet18"))),
    ],
)
def test_a_model_by_name_is_that_of_the_default_config(name: str, build: Any, config: Any) -> None:
    torch.manual_seed(5)
    ours = create_model(name, names=["cat", "dog"])
    torch.manual_seed(5)
    expected = build(config, ["cat", "dog"])
    assert ours.names == ("cat", "dog")
    mine, theirs = ours.state_dict(), expected.state_dict()
    assert list(mine) == list(theirs)
    assert all(torch.equal(value, theirs[key]) for key, value in mine.items())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", r"unknown model 'resnet19' \(did you mean 'resnet1"),
        ("faster_rcnn_r19_c4", r"unknown model 'faster_rcnn_r19_c4' \(did you mean 'faster_rcnn_r1"),
        ("faster_rcnn_r50_fpn", r"unknown model 'faster_rcnn_r50_fpn' \(did you mean 'faster_rcnn_r50_c4'\?\)"),
        ("cifar_resnet21", "'depth' must be 6n \\+ 2 with n >= 1, got 21"),
        ("", r"unknown model '' \(known: "),
    ],
)
def test_create_an_unknown_model(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_model(name, num_classes=3)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({}, "needs 'num_classes' or 'names', one of them, got None and None"),
        ({"num_classes": 2, "names": ["a", "b"]}, r"one of them, got 2 and \['a', 'b'\]"),
        ({"num_classes": 0}, "'num_classes' must be a number of at least 1, got 0"),
        ({"num_classes": "20"}, "'num_classes' must be a number of at least 1, got '20'"),
        ({"names": []}, r"'names' must be a list of at least one text, got \[\]"),
        ({"names": "cat"}, "'names' must be a list of at least one text, got 'cat'"),
        ({"names": 3}, "'names' must be a list of at least one text, got 3"),
        ({"names": ["cat", 7]}, r"'names' must be a list of at least one text, got \['cat', 7\]"),
        ({"names": ["b", "a", "b", "a", "c"]}, "'names' must hold each class once, holds 'b', 'a' more often"),
    ],
)
def test_classes_that_are_none(classes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_model("resnet18", **classes)


def test_one_class_is_enough() -> None:
    assert create_model("cifar_resnet20", num_classes=1).names == ("0",)
    assert create_model("cifar_resnet20", names=["cat"]).names == ("cat",)


def test_create_with_weights(tmp_path: Path) -> None:
    config = ClassifierConfig(BackboneConfig("resnet18", pixels="msra"))
    classifier = build_classifier(config, ["a", "b"])
    path = tmp_path / "cls.safetensors"
    save(classifier, path)
    for weights in (path, str(path)):
        model = create_model("faster_rcnn_r18_c4", num_classes=3, weights=weights)
        assert isinstance(model, FasterRCNN)
        assert model.pixels == PIXEL_CONVENTIONS["msra"]
        assert torch.equal(model.trunk.conv1.weight, classifier.backbone.conv1.weight)
    with pytest.raises(ConfigError, match=r"pixel convention is msra, option 'model\.backbone\.pixels' asks for torchvision"):
        create_model("resnet18", num_classes=2, weights=str(path), pixels="torchvision")
