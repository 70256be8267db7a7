"""Weights of ResNeXt, wide ResNets and ResNet-D: loaded into their own networks, refused by others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from narrow_networks import load_into, narrow_network, narrow_state

from resdet.errors import ConfigError


@pytest.mark.parametrize("name", ["resnext50_32x4d", "wide_resnet50_2", "resnet50d"])
def test_they_load_into_their_own_network_alone(tmp_path: Path, name: str) -> None:
    state, ours = narrow_state(name, width=16), narrow_network(name, width=16)
    torch.save(state, tmp_path / "weights.pth")
    report = load_into(ours, tmp_path / "weights.pth")
    assert (report.looks_like, report.misfits()) == (name, [])
    for key, value in state.items():
        assert torch.equal(ours.state_dict()[key], value), key
    with pytest.raises(ConfigError, match=f"weights that look like {name} do not fit .*'model.backbone.name'=resnet50 "):
        load_into(narrow_network("resnet50", width=16), tmp_path / "weights.pth")
