"""From model files back to networks, and what is refused."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import NAMES, detector, detector_config, images_and_targets, written

from resdet.config import config_from_dict, config_to_dict
from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.errors import ConfigError
from resdet.models.build import build_backbone, build_classifier, build_detector, load_model
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.postprocess import Postprocess
from resdet.models.model_file import ModelCard, write_model
from resdet.structures import PIXEL_CONVENTIONS

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN has mean 0")  # nothing is trained here


@pytest.mark.parametrize("pooling", ["align", "pool"])
def test_a_detector_comes_back_from_its_file(tmp_path: Path, pooling: str) -> None:
    model = detector(roi={"pooling": pooling}, test={"score_thresh": 0.0}).eval()
    path = written(tmp_path / "det.safetensors", model, detector_config(roi={"pooling": pooling}, test={"score_thresh": 0.0}))
    loaded, card = load_model(path)
    assert isinstance(loaded, FasterRCNN)
    assert not loaded.training
    assert (card.task, loaded.names, loaded.pixels) == ("detection", tuple(NAMES), model.pixels)
    images, _ = images_and_targets()
    for ours, theirs in zip(loaded.detect(images), model.detect(images), strict=True):
        assert len(ours) > 0
        assert torch.equal(ours.boxes, theirs.boxes)
        assert torch.equal(ours.scores, theirs.scores)


def test_a_classifier_comes_back_from_its_file(tmp_path: Path) -> None:
    config = ClassifierConfig(BackboneConfig("cifar_resnet20"))
    model = build_classifier(config, NAMES).eval()
    loaded, card = load_model(written(tmp_path / "cls.safetensors", model, config))
    assert isinstance(loaded, Classifier)
    assert (card.task, loaded.names) == ("classification", tuple(NAMES))
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(loaded(images), model(images))


def test_the_backbone_s_weights_file_is_not_needed_again(tmp_path: Path) -> None:
    config = detector_config()
    path = written(
        tmp_path / "det.safetensors", detector(), replace(config, backbone=replace(config.backbone, weights="/gone"))
    )
    load_model(path)


def test_loading_warns_of_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "det.safetensors", detector(), detector_config())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_model(path)


def test_a_config_changes_what_is_free_at_test_time(tmp_path: Path) -> None:
    path = written(tmp_path / "det.safetensors", detector(), detector_config())
    config = detector_config(test={"score_thresh": 0.3, "nms_thresh": 0.45}, rpn={"post_nms_top_n_test": 5})
    loaded, _ = load_model(path, config)
    assert isinstance(loaded, FasterRCNN)
    assert loaded.roi_heads.postprocess == Postprocess(0.3, 0.45, 100, "none", 0.5, 0.0)
    assert loaded.rpn.test_filter.post_nms_top_n == 5


@pytest.mark.parametrize(
    ("section", "option", "value", "own"),
    [
        ("backbone", "name", "resnet34", "'resnet18'"),
        ("backbone", "width", 8, "4"),
        ("backbone", "shortcut", "A", "'auto'"),
        ("backbone", "stride_in_1x1", True, "False"),
        ("anchors", "sizes", [8.0], r"\[16.0, 32.0\]"),
        ("anchors", "ratios", [1.0], r"\[0.5, 1.0, 2.0\]"),
        ("anchors", "rounded", True, "False"),
        ("roi", "pooling", "pool", "'align'"),
        ("roi", "pooled_size", 7, "14"),
        ("roi", "sampling_ratio", 2, "0"),
        ("roi", "context", True, "False"),
    ],
)
def test_a_config_of_another_network_is_refused(tmp_path: Path, section: str, option: str, value: Any, own: str) -> None:
    path = written(tmp_path / "det.safetensors", detector(), detector_config())
    with pytest.raises(ConfigError, match=rf"was trained with 'model\.{section}\.{option}' {own}, the config says ") as caught:
        load_model(path, detector_config(**{section: {option: value}}))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(("trained", "asked"), [("msra", "torchvision"), ("auto", "msra"), ("torchvision", "msra")])
def test_a_config_of_other_pixels_is_refused(tmp_path: Path, trained: str, asked: str) -> None:
    """Both are named; auto, and the convention itself, take the file's."""
    config = detector_config(backbone={"pixels": trained})
    model = build_detector(config, NAMES)
    path = written(tmp_path / "det.safetensors", model, config)
    with pytest.raises(ConfigError) as caught:
        load_model(path, detector_config(backbone={"pixels": asked}))
    (message,) = caught.value.problems
    assert message.startswith(f"{path}: was trained on pixels {model.pixels.describe()}, 'model.backbone.pixels' {asked} is ")
    assert message.endswith(PIXEL_CONVENTIONS[asked].describe())
    for agreed in ("auto", trained):
        assert load_model(path, detector_config(backbone={"pixels": agreed}))[0].pixels == model.pixels


@pytest.mark.parametrize("trained", ["auto", "torchvision"])
def test_a_mean_image_does_not_contradict_a_config(tmp_path: Path, trained: str) -> None:
    config = ClassifierConfig(BackboneConfig("resnet18", width=4, pixels=trained))
    model = build_classifier(config, NAMES, torch.rand(3, 32, 32) * 255).eval()
    path = written(tmp_path / "cls.safetensors", model, config)
    for agreed in ("auto", "torchvision"):
        asked = ClassifierConfig(BackboneConfig("resnet18", width=4, pixels=agreed))
        assert load_model(path, asked)[0].pixels == model.pixels
    with pytest.raises(ConfigError, match=r"was trained on pixels RGB .*, 'model\.backbone\.pixels' msra is BGR 0 … 255"):
        load_model(path, ClassifierConfig(BackboneConfig("resnet18", width=4, pixels="msra")))


def test_a_config_of_another_task_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "det.safetensors", detector(), detector_config())
    with pytest.raises(ConfigError, match="holds a detection model, the config describes a classification model"):
        load_model(path, ClassifierConfig())


def test_unknown_task_and_unknown_option_of_a_card(tmp_path: Path) -> None:
    card = ModelCard("poetry", {}, NAMES, PIXEL_CONVENTIONS["msra"].to_dict(), {})
    write_model(tmp_path / "a.safetensors", {"weight": torch.zeros(1)}, card)
    with pytest.raises(ConfigError, match=r"'task' must be one of detection, classification, localization, got 'poetry'"):
        load_model(tmp_path / "a.safetensors")
    write_model(tmp_path / "b.safetensors", {}, replace(card, task="detection", architecture={"transformer": {}}))
    with pytest.raises(ConfigError, match=r"b\.safetensors: its card: unknown option 'transformer'"):
        load_model(tmp_path / "b.safetensors")


def test_tensors_that_do_not_fit_the_card_are_refused(tmp_path: Path) -> None:
    model = detector()
    card = ModelCard("detection", config_to_dict(detector_config()), ["one"], model.pixels.to_dict(), {})
    write_model(tmp_path / "det.safetensors", model.state_dict(), card)
    with pytest.raises(ConfigError, match=r"det\.safetensors: its tensors do not fit its card: .*cls_score") as caught:
        load_model(tmp_path / "det.safetensors")
    assert "\n" not in str(caught.value)


def test_a_classifier_with_a_mean_image_comes_back_whole(tmp_path: Path) -> None:
    config = config_from_dict(ClassifierConfig, {"backbone": {"name": "cifar_resnet20", "width": 4}})
    model = build_classifier(config, NAMES, torch.rand(3, 32, 32) * 255).eval()
    card = ModelCard("classification", config_to_dict(config), NAMES, model.pixels.to_dict(), {"short_side": 0, "crop": 32})
    write_model(tmp_path / "model.safetensors", model.state_dict(), card)
    loaded, _ = load_model(tmp_path / "model.safetensors")
    assert isinstance(loaded, Classifier)
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(loaded(images), model(images))
    # as weights of another network its mean colour goes along
    backbone, pixels = build_backbone(replace(config.backbone, weights=str(tmp_path / "model.safetensors")), 3)
    assert pixels == model.pixels
    assert torch.equal(backbone.conv1.weight, model.backbone.conv1.weight)
