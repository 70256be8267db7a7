"""Weights of ResNeXt, wide ResNets and ResNet-D: loaded into their own networks, refused by others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from resdet.errors import ConfigError
from resdet.models.backbones.weights import load_backbone_weights
from resdet.models.registry import create_backbone


@pytest.mark.parametrize("name", ["resnext50_32x4d", "wide_resnet50_2", "resnet50d"])
def test_they_load_into_their_own_network_alone(tmp_path: Path, name: str) -> None:
    torch.manual_seed(7)
    theirs, ours, other = (create_backbone(each, width=16, num_classes=3) for each in (name, name, "resnet50"))
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    options = {"pixels": None, "stride_in_1x1": False}
    report = load_backbone_weights(ours, tmp_path / "weights.pth", **options)
    assert (report.looks_like, report.misfits()) == (name, [])
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key
    with pytest.raises(ConfigError, match=f"weights that look like {name} do not fit .*'model.backbone.name'=resnet50 "):
        load_backbone_weights(other, tmp_path / "weights.pth", **options)
