"""Projections without BN: equation 2 of the paper to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from narrow_networks import narrow_network
from rounding import ALGEBRA, assert_near
from tiny_detectors import picture, tiny_detector
from torch import nn
from training_networks import with_statistics

from resdet.errors import ConfigError
from resdet.inference.load import load_detector
from resdet.inference.save import save
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.shortcuts import Projection
from resdet.reference import Layers, residual_network


@pytest.mark.parametrize(
    ("name", "block", "blocks"), [("resnet18", "basic", (2, 2, 2, 2)), ("resnet50", "bottleneck", (3, 4, 6, 3))]
)
@pytest.mark.parametrize("option", ["B", "C"])
def test_the_same_as_the_formula(name: str, block: str, blocks: tuple[int, ...], option: str) -> None:
    network = narrow_network(name, shortcut=option, shortcut_norm=False).double().train()
    projections = [part for part in network.modules() if isinstance(part, Projection)]
    assert projections
    assert all(part.norm is None for part in projections)
    layers = Layers({key: value.clone() for key, value in network.state_dict().items()}, training=True)
    images = torch.randn(2, 3, 48, 48, dtype=torch.float64)
    expected = residual_network(images, layers, block=block, blocks=blocks, option=option, stem="imagenet")
    assert_near(network(images), expected, ALGEBRA)
    for key, value in network.named_buffers():
        if key.endswith("running_var"):
            assert_near(value, layers.state[key], ALGEBRA, key)


def test_two_numbers_less_for_each_channel_of_a_projection() -> None:
    counts = [
        sum(each.numel() for each in create_backbone("resnet18", shortcut_norm=norm).parameters()) for norm in (True, False)
    ]
    assert counts[0] - counts[1] == 2 * (128 + 256 + 512)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_detectors_are_prepared_train_and_are_saved(name: str, tmp_path: Path) -> None:
    model = tiny_detector(backbone={"name": name, "width": 8, "shortcut_norm": False})
    with_statistics(model)
    images = [picture(0, 64, 96)]
    expected = model.detect(images)[0]
    found = model.prepare().detect(images)[0]
    assert len(found) == len(expected) > 0
    assert_near(found.boxes, expected.boxes, 1e-3)
    assert_near(found.scores, expected.scores, 1e-3)
    twin = model.train().prepare_for_training()
    x = torch.randn(1, 3, 64, 96)
    assert_near(twin.trunk(x), model.trunk(x), 1e-4)
    save(model.eval(), tmp_path / "m.safetensors")
    loaded = load_detector(tmp_path / "m.safetensors", device="cpu")
    assert not any(isinstance(part, Projection) and part.norm is not None for part in loaded.models[0].modules())


def test_weights_with_bn_there_do_not_fit(tmp_path: Path) -> None:
    from narrow_networks import load_into

    torch.save(narrow_network().state_dict(), tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"downsample\.1"):
        load_into(narrow_network(shortcut_norm=False), tmp_path / "w.pth")


def test_plain_networks_have_no_projection() -> None:
    plain = narrow_network("plain18", shortcut_norm=False)
    assert not any(isinstance(part, (Projection, nn.Identity)) for block in plain.blocks() for part in block.children())
