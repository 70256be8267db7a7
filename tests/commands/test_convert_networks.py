"""`resdet convert` of networks that are others' than the paper's: the results are those of torchvision and timm."""

from __future__ import annotations

from pathlib import Path

import pytest
import rounding
import torch
import torchvision
from rounding import assert_near
from torchvision.transforms.v2.functional import normalize

from resdet.cli import main
from resdet.inference.load import load
from resdet.models.classifier import Classifier


@pytest.mark.parametrize(("name", "toolkit"), [("resnext50_32x4d", "torchvision"), ("resnet50d", "timm")])
def test_a_converted_network_gives_the_same(tmp_path: Path, name: str, toolkit: str) -> None:
    torch.manual_seed(1)
    create = torchvision.models.get_model if toolkit == "torchvision" else pytest.importorskip("timm").create_model
    network = create(name, num_classes=5).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    assert main(["convert", str(tmp_path / "weights.pth"), str(tmp_path / "model.safetensors"), "--from", toolkit]) == 0
    model = load(tmp_path / "model.safetensors", device="cpu").model
    assert isinstance(model, Classifier)
    assert model.backbone.spec.name == name
    images = torch.randint(256, (2, 3, 70, 90), dtype=torch.uint8)
    with torch.no_grad():
        expected = network(normalize(images / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        assert_near(model(images), expected, rounding.network(50, 9 * 512, torch.float32))
