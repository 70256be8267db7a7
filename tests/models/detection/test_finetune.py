from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resdet.config import config_to_dict
from resdet.config.schema import AnchorConfig, BackboneConfig, DetectorConfig, RoIConfig
from resdet.errors import ConfigError, DataError
from resdet.models.build import build_classifier, build_detector, start_detector
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.finetune import take_over
from resdet.models.model_file import ModelCard, write_model
from resdet.structures import PIXEL_CONVENTIONS

OLD = ["cat", "dog", "car"]
NEW = ["car", "cow", "cat", "bus"]
CLS, BOX = "roi_heads.predictor.cls_score", "roi_heads.predictor.bbox_pred"


def small(**changes: object) -> DetectorConfig:
    return replace(DetectorConfig(BackboneConfig("resnet18", width=8), anchors=AnchorConfig(sizes=[16.0, 32.0])), **changes)


def build(names: list[str], seed: int, config: DetectorConfig | None = None) -> FasterRCNN:
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_detector(config or small(), names).eval()


def write(path: Path, model: torch.nn.Module, config: object, task: str = "detection", pixels: str = "msra") -> Path:
    card = ModelCard(task, config_to_dict(config), list(model.names), PIXEL_CONVENTIONS[pixels].to_dict(), {})
    write_model(path, model.state_dict(), card)
    return path


def test_rows_are_matched_by_name_and_the_rest_starts_anew() -> None:
    old, new = build(OLD, 1), build(NEW, 2)
    fresh = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    report = take_over(new, NEW, old.state_dict(), OLD)
    theirs, mine = old.state_dict(), new.state_dict()
    for key, tensor in mine.items():
        if "predictor" not in key:
            assert torch.equal(tensor, theirs[key])
    for kind in ("weight", "bias"):
        cls, box = mine[f"{CLS}.{kind}"], mine[f"{BOX}.{kind}"]
        old_cls, old_box = theirs[f"{CLS}.{kind}"], theirs[f"{BOX}.{kind}"]
        # car, cow, cat, bus, background
        assert torch.equal(
            cls, torch.stack([old_cls[2], fresh[f"{CLS}.{kind}"][1], old_cls[0], fresh[f"{CLS}.{kind}"][3], old_cls[3]])
        )
        assert torch.equal(box[0:4], old_box[8:12])
        assert torch.equal(box[8:12], old_box[0:4])
        assert torch.equal(box[4:8], fresh[f"{BOX}.{kind}"][4:8])
        assert torch.equal(box[12:], fresh[f"{BOX}.{kind}"][12:])
    assert (report.common, report.added) == (("car", "cat"), ("cow", "bus"))
    assert set(report.matched) == {f"{part}.{kind}" for part in (CLS, BOX) for kind in ("weight", "bias")}
    assert (report.new, report.unused) == ((), ())
    assert len(report.loaded) == len(mine) - 4


def test_a_line_says_what_became_of_them() -> None:
    state = build(OLD, 1).state_dict()
    state["extra.weight"] = torch.zeros(1)
    state["rpn.head.objectness.weight"] = state["rpn.head.objectness.weight"][:1]
    del state["rpn.head.conv.bias"]
    report = take_over(build(NEW, 2), NEW, state, OLD)
    loaded, _, *others = report.summary().split("; ")
    assert loaded == f"loaded {len(report.loaded)}"
    assert others == [
        "new 2 (rpn.head.conv.bias, rpn.head.objectness.weight)",
        "unused 1 (extra.weight)",
        "classes kept 2 (car, cat)",
        "classes added 2 (cow, bus)",
    ]


def test_the_same_classes_are_the_same_detector() -> None:
    old, new = build(OLD, 1), build(OLD, 2)
    report = take_over(new, OLD, old.state_dict(), OLD)
    assert all(torch.equal(tensor, old.state_dict()[name]) for name, tensor in new.state_dict().items())
    assert (report.matched, report.new, report.added) == ((), (), ())


def test_no_class_in_common_leaves_the_background() -> None:
    old, new = build(OLD, 1), build(["x", "y"], 2)
    fresh = new.state_dict()[f"{CLS}.weight"].clone()
    take_over(new, ["x", "y"], old.state_dict(), OLD)
    weight = new.state_dict()[f"{CLS}.weight"]
    assert torch.equal(weight[2], old.state_dict()[f"{CLS}.weight"][3])
    assert torch.equal(weight[:2], fresh[:2])


@pytest.mark.parametrize("names", [OLD, NEW])
def test_with_context_the_old_classes_are_scored_as_before(names: list[str]) -> None:
    old, new = build(OLD, 1), build(names, 2, small(roi=RoIConfig(context=True)))
    take_over(new, names, old.state_dict(), OLD)
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(1, 32, 6, 8, generator=generator)
    regions = [torch.tensor([[3.0, 4, 60, 70], [20.0, 10, 120, 90]])]
    with torch.inference_mode():
        logits, deltas = old.roi_heads(features, regions, [(96, 128)])
        found_logits, found_deltas = new.roi_heads(features, regions, [(96, 128)])
    common = [name for name in names if name in OLD]
    here, there = [names.index(name) for name in common], [OLD.index(name) for name in common]
    torch.testing.assert_close(found_logits[:, [*here, -1]], logits[:, [*there, -1]])
    torch.testing.assert_close(found_deltas[:, here], deltas[:, there])


def test_training_begins_with_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = build(OLD, 1)
    path = write(tmp_path / "old.safetensors", old, small())
    with caplog.at_level(logging.INFO), warnings.catch_warnings():
        warnings.simplefilter("error")  # BN is loaded
        new = start_detector(small(weights=str(path), roi=RoIConfig(context=True)), NEW)
    assert new.pixels == PIXEL_CONVENTIONS["msra"]
    assert new.names == tuple(NEW)
    assert torch.equal(new.trunk.conv1.weight, old.trunk.conv1.weight)
    assert not new.trunk.conv1.weight.requires_grad  # freeze_at is the new run's
    assert f"detector from {path}: loaded" in caplog.text
    assert "; classes added 2 (cow, bus)" in caplog.text


BAD = [
    ({"anchors": AnchorConfig(sizes=[8.0, 32.0])}, r"was trained with 'model.anchors.sizes' \[16.0, 32.0\], the config says"),
    ({"backbone": BackboneConfig("resnet34", width=8)}, "was trained with 'model.backbone.name' 'resnet18'"),
    ({"roi": RoIConfig(pooling="pool")}, "'model.roi.pooling' 'align', the config says 'pool'"),
    ({"backbone": BackboneConfig("resnet18", width=8, pixels="torchvision")}, "'model.backbone.pixels' torchvision is"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_another_network_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = write(tmp_path / "old.safetensors", build(OLD, 1), small())
    with pytest.raises(ConfigError, match=message):
        start_detector(small(weights=str(path), **changes), NEW)


def test_a_detector_with_context_does_not_go_into_one_without(tmp_path: Path) -> None:
    config = small(roi=RoIConfig(context=True))
    path = write(tmp_path / "old.safetensors", build(OLD, 1, config), config)
    with pytest.raises(ConfigError, match=r"'model\.roi\.context' True, the config says False"):
        start_detector(small(weights=str(path)), NEW)


def test_files_that_are_no_detector(tmp_path: Path) -> None:
    config = small()
    with pytest.raises(ConfigError, match="no such model file"):
        start_detector(small(weights=str(tmp_path / "none.safetensors")), NEW)
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    with pytest.raises(DataError, match="is a text, and holds no tensors"):
        start_detector(small(weights=str(tmp_path / "broken.safetensors")), NEW)
    from resdet.config.schema import ClassifierConfig

    classifier = ClassifierConfig(config.backbone)
    path = write(tmp_path / "cls.safetensors", build_classifier(classifier, OLD), classifier, "classification")
    with pytest.raises(ConfigError, match="holds a classification model, the config describes a detection model"):
        start_detector(small(weights=str(path)), NEW)
