"""The residual network in files of every kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_detectors import tiny_detector
from tiny_detectors import written as written_detector
from tiny_localizers import tiny_localizer
from tiny_localizers import written as written_localizer
from torch import Tensor, nn

from resdet.analysis.convention_subject import Subject, find_subject
from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.weights.read import read_weights
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.structures import PIXEL_CONVENTIONS


def _network(name: str = "resnet50", **options: Any) -> ResNet:
    torch.manual_seed(4)
    network = create_backbone(name, **{"width": 8, "num_classes": 5, **options}).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            _spread(part)
    return network


@torch.no_grad()
def _spread(norm: Any) -> None:
    norm.running_mean.normal_(0, 0.1)
    norm.running_var.uniform_(0.5, 2)


def _card(path: Path, state: dict[str, Tensor], backbone: dict[str, Any], test: dict[str, Any], task: str) -> Path:
    card = {"task": task, "architecture": {"backbone": backbone}, "names": [], "test": test}
    save_file(state, path, {"resdet": json.dumps({**card, "pixels": PIXEL_CONVENTIONS["msra"].to_dict()})})
    return path


def _subject(path: Path) -> Subject:
    return find_subject(read_weights(path))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "cifar_resnet8", "cifar_preact_bottleneck11", "preact_resnet18"])
def test_a_file_without_a_card(tmp_path: Path, name: str) -> None:
    network = _network(name)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    subject = _subject(tmp_path / "w.pth")
    assert (subject.short_side, subject.crop) == ((32, 32) if name.startswith("cifar") else (256, 224))
    assert subject.pixels is None
    assert subject.classifies
    assert len(subject.norms) == sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(subject.network(False)(x), network(x))


@pytest.mark.parametrize("stride", [False, True])
def test_both_strides_can_be_run(tmp_path: Path, stride: bool) -> None:
    network = _network(stride_in_1x1=stride)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    subject = _subject(tmp_path / "w.pth")
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(subject.network(stride)(x), network(x))
        assert (subject.network(not stride)(x) - network(x)).abs().max() > 1e-3


def test_a_card_tells_what_the_names_do_not(tmp_path: Path) -> None:
    network = _network("resnet18", shortcut="A")
    state = {f"backbone.{key}": value for key, value in network.state_dict().items()}
    backbone = {"name": "resnet18", "width": 8, "shortcut": "A"}
    path = _card(tmp_path / "w.safetensors", state, backbone, {"short_side": 72, "crop": 64}, "classification")
    subject = _subject(path)
    assert (subject.short_side, subject.crop) == (72, 64)
    assert subject.pixels == PIXEL_CONVENTIONS["msra"]
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(subject.network(False)(x), network(x))


def test_a_crop_without_resizing_is_resized_to(tmp_path: Path) -> None:
    """Large photos shown to a network that learned small pictures whole."""
    state, backbone = _network("cifar_resnet8").state_dict(), {"name": "cifar_resnet8", "width": 8}
    path = _card(tmp_path / "w.safetensors", state, backbone, {"short_side": 0, "crop": 32}, "classification")
    assert (_subject(path).short_side, _subject(path).crop) == (32, 32)


def test_a_detector_s_trunk(tmp_path: Path) -> None:
    """Its conv5 runs on regions: the BN layers there are not compared."""
    detector = tiny_detector()
    for part in detector.modules():
        if isinstance(part, FrozenBatchNorm2d):
            _spread(part)
    subject = _subject(written_detector(tmp_path / "det.safetensors", detector))
    assert not subject.classifies
    assert {name.split(".")[0] for name in subject.norms} == {"bn1", "layer1", "layer2", "layer3"}
    network = subject.network(False)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        features = network.maxpool(network.relu(network.bn1(network.conv1(x))))
        for stage in network.stages()[:3]:
            features = stage(features)
        torch.testing.assert_close(features, detector.trunk(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stage", ["rpn", "rcnn"])
def test_a_localizer_s_body(tmp_path: Path, stage: str) -> None:
    model = tiny_localizer(stage=stage)
    body = (model if stage == "rpn" else model.rpn).body
    for part in body.modules():
        if isinstance(part, FrozenBatchNorm2d):
            _spread(part)
    subject = _subject(written_localizer(tmp_path / "loc.safetensors", model, stage=stage))
    assert not subject.classifies
    assert len(subject.norms) == 20
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(subject.network(False).forward_features(x), body(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variance", [1.0, 1 - 1e-5])
def test_folded_statistics_are_not_compared(tmp_path: Path, variance: float) -> None:
    network = create_backbone("resnet18", width=8)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_var is not None:
            part.running_var.fill_(variance)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    assert _subject(tmp_path / "w.pth").norms == ()


def test_a_layer_that_was_folded_is_left_out(tmp_path: Path) -> None:
    state = _network().state_dict()
    state |= {"bn1.running_mean": torch.zeros(8), "bn1.running_var": torch.ones(8)}
    torch.save(state, tmp_path / "w.pth")
    norms = _subject(tmp_path / "w.pth").norms
    assert "bn1" not in norms
    assert len(norms) == 52


def test_what_is_no_network_of_resdet_s(tmp_path: Path) -> None:
    torch.save({"encoder.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match=r"other\.pth: names like no source that is known"):
        _subject(tmp_path / "other.pth")
    state = {key: value for key, value in _network().state_dict().items() if not key.startswith("layer2.1")}
    torch.save(state, tmp_path / "gap.pth")
    with pytest.raises(ConfigError, match=r"gap\.pth: its tensors are no resnet50 with shortcut B: .* missing \(layer2\.1"):
        _subject(tmp_path / "gap.pth")
    path = _card(tmp_path / "odd.safetensors", _network().state_dict(), {}, {}, "classification")
    with pytest.raises(ConfigError, match=r"odd\.safetensors: its card names no network"):
        _subject(path)
