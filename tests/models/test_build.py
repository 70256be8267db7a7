"""From configs and names to networks, and from model files back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rounding import assert_near, network
from torch import nn
from torchvision.ops import RoIAlign, RoIPool

from resdet.config import config_from_dict, config_to_dict
from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectorConfig
from resdet.errors import ConfigError
from resdet.models.build import (
    build_backbone,
    build_classifier,
    build_detector,
    card_config,
    load_model,
)
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.postprocess import Postprocess
from resdet.models.model_file import ModelCard, read_card, write_model
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.structures import PIXEL_CONVENTIONS, Target

NAMES = ["cat", "dog", "emu"]
SMALL = {
    "backbone": {"name": "resnet18", "width": 4},
    "anchors": {"sizes": [16, 32]},
    "rpn": {"batch": 16, "pre_nms_train": 60, "post_nms_train": 20, "pre_nms_test": 60, "post_nms_test": 12},
    "roi": {"batch": 8},
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No word about BN without statistics: nothing is trained here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="frozen BN has mean 0")
        yield


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


# ------------------------------------------------------------------------------------------------------------- detectors


def trains_and_detects(model: FasterRCNN) -> None:
    images, targets = images_and_targets()
    losses = model.train().losses(images, targets)
    assert list(losses) == ["loss_rpn_cls", "loss_rpn_box", "loss_roi_cls", "loss_roi_box"]
    torch.stack(list(losses.values())).sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (not parameter.requires_grad), name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    found = model.eval().detect(images)
    assert [item.size for item in found] == [(64, 80), (48, 64)]


@pytest.mark.parametrize("pooling", ["align", "pool"])
def test_both_poolings(pooling: str) -> None:
    model = detector(roi={"pooling": pooling, "pooled_size": 7})
    assert isinstance(model.roi_heads.pooler, RoIPool if pooling == "pool" else RoIAlign)
    assert model.roi_heads.pooler.spatial_scale == 1 / 16
    trains_and_detects(model)


def test_global_context_doubles_the_predictor_s_input_and_comes_back_from_its_file(tmp_path: Path) -> None:
    config = detector_config(roi={"context": True})
    model = detector(roi={"context": True})
    assert model.roi_heads.predictor.cls_score.in_features == 2 * model.roi_heads.res5.out_channels
    trains_and_detects(model)
    path = written(tmp_path / "det.safetensors", model, config)
    assert card_config(path, read_card(path)) == config
    loaded, _ = load_model(path)
    assert isinstance(loaded, FasterRCNN)
    assert loaded.roi_heads.context


@pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_detectors_on_every_kind_of_shortcut(name: str, shortcut: str) -> None:
    model = detector(backbone={"name": name, "width": 4, "shortcut": shortcut}, freeze_at=1)
    projections = [key for key in model.state_dict() if key.endswith("downsample.0.weight")]
    blocks = {"resnet18": 8, "resnet50": 16}[name]
    entries = {"resnet18": 3, "resnet50": 4}[name]  # blocks whose input has another shape than their output
    assert len(projections) == {"A": 0, "B": entries, "C": blocks, "none": 0}[shortcut]
    trains_and_detects(model)


def test_stride_in_the_1x1() -> None:
    for in_1x1 in (False, True):
        model = detector(backbone={"name": "resnet50", "width": 4, "stride_in_1x1": in_1x1})
        block = model.trunk.layer3[0]
        assert (block.conv1.stride, block.conv2.stride) == (((2, 2), (1, 1)) if in_1x1 else ((1, 1), (2, 2)))


# parameters with a gradient, by stage, of a resnet18: conv1; a weight for each convolution of a stage
@pytest.mark.parametrize(("freeze_at", "trained"), [(0, 20), (1, 19), (2, 15), (3, 10), (4, 5), (5, 0)])
def test_freezing_counts(freeze_at: int, trained: int) -> None:
    model = detector(freeze_at=freeze_at)
    backbone = [*model.trunk.parameters(), *model.roi_heads.res5.parameters()]
    assert sum(parameter.requires_grad for parameter in backbone) == trained
    assert len(backbone) == 20  # BN's scale and shift are no parameters: it is frozen
    assert all(parameter.requires_grad for parameter in (*model.rpn.parameters(), *model.roi_heads.predictor.parameters()))


def test_bn_is_frozen_everywhere() -> None:
    model = detector()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert sum(isinstance(module, FrozenBatchNorm2d) for module in model.modules()) == 20


def test_bn_without_statistics_is_warned_of() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        detector()
    assert [str(warning.message).partition(" (")[0] for warning in caught] == [
        "frozen BN has mean 0 and variance 1 in every layer"
    ]
    assert "no backbone weights are given" in str(caught[0].message)


def test_numbers_of_the_config_reach_their_parts() -> None:
    model = detector(
        anchors={"sizes": [16, 32, 64], "ratios": [1.0, 2.0]},
        rpn={"nms_iou": 0.61, "fg_iou": 0.62, "min_size": 3.0},
        roi={"batch": 33, "positive_fraction": 0.2, "fg_iou": 0.6, "sampling_ratio": 2},
        test={
            "score_thresh": 0.07,
            "nms_iou": 0.4,
            "detections_per_image": 9,
            "soft_nms": "gaussian",
            "soft_nms_sigma": 0.7,
            "vote_iou": 0.6,
        },
    )
    assert model.rpn.head.objectness.out_channels == 6
    assert (model.rpn.train_filter.nms_iou, model.rpn.test_filter.min_size, model.rpn.fg_iou) == (0.61, 3.0, 0.62)
    assert (model.rpn.train_filter.post_nms, model.rpn.test_filter.post_nms) == (20, 12)
    heads = model.roi_heads
    assert (heads.batch, heads.positive_fraction, heads.fg_iou, heads.pooler.sampling_ratio) == (33, 0.2, 0.6, 2)
    assert heads.postprocess == Postprocess(0.07, 0.4, 9, "gaussian", 0.7, 0.6)
    assert not heads.context
    assert heads.num_classes == 3


# ------------------------------------------------------------------------------------------------------------- backbones


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


# ------------------------------------------------------------------------------------------------------------ model files


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
    config = detector_config(test={"score_thresh": 0.3, "nms_iou": 0.45}, rpn={"post_nms_test": 5})
    loaded, _ = load_model(path, config)
    assert isinstance(loaded, FasterRCNN)
    assert (loaded.roi_heads.postprocess, loaded.rpn.test_filter.post_nms) == (Postprocess(0.3, 0.45), 5)


@pytest.mark.parametrize(
    ("section", "option", "value", "own"),
    [
        ("backbone", "name", "resnet34", "'resnet18'"),
        ("backbone", "width", 8, "4"),
        ("backbone", "shortcut", "A", "'auto'"),
        ("backbone", "stride_in_1x1", True, "False"),
        ("anchors", "sizes", [8.0], r"\[16.0, 32.0\]"),
        ("anchors", "ratios", [1.0], r"\[0.5, 1.0, 2.0\]"),
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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_detector_under_autocast_has_losses_and_boxes_in_float32(dtype: torch.dtype) -> None:
    model = detector()
    images, targets = images_and_targets()
    torch.manual_seed(1)
    exact = model.losses(images, targets)
    with torch.autocast("cpu", dtype):
        torch.manual_seed(1)
        found = model.losses(images, targets)
        detections = model.detect(images)
    for name, loss in found.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(exact[name].item(), rel=network(20, 1, torch.bfloat16), abs=0.02), name
    sum(found.values()).backward()
    assert all(parameter.grad is None or parameter.grad.dtype == torch.float32 for parameter in model.parameters())
    assert all(each.boxes.dtype == each.scores.dtype == torch.float32 for each in detections)


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
