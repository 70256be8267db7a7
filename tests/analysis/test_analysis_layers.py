"""Convolutions by depth."""

from __future__ import annotations

import pytest
import torch

from resdet.analysis.layers import convolutions, is_plain, named_blocks, weighted_layers
from resdet.models.backbones.registry import create_backbone


@pytest.mark.parametrize(
    ("name", "layers", "projections"),
    [
        ("cifar_resnet8", 8, 0),
        ("cifar_plain20", 20, 0),
        ("cifar_preact_resnet20", 20, 0),
        ("resnet18", 18, 3),
        ("resnet50", 50, 4),
        ("preact_resnet50", 50, 4),
        ("plain34", 34, 0),
    ],
)
def test_the_number_in_a_network_s_name_is_the_number_of_its_layers(name: str, layers: int, projections: int) -> None:
    with torch.device("meta"):
        resnet = create_backbone(name)
    found = convolutions(resnet)
    assert weighted_layers(resnet) == layers
    assert sum(layer.is_projection for layer in found) == projections
    assert [layer.depth for layer in found if not layer.is_projection] == list(range(1, layers))
    assert {layer.name: layer.conv for layer in found} == {
        key: part for key, part in resnet.named_modules() if isinstance(part, torch.nn.Conv2d)
    }
    assert is_plain(resnet) == ("plain" in name)


def test_a_projection_stands_beside_the_end_of_its_block() -> None:
    with torch.device("meta"):
        found = {layer.name: layer for layer in convolutions(create_backbone("resnet50"))}
    assert found["layer1.0.downsample.0"].depth == found["layer1.0.conv3"].depth == 4
    assert found["layer1.1.conv1"].depth == 5


def test_the_norm_that_follows() -> None:
    with torch.device("meta"):
        post, pre = create_backbone("cifar_resnet8"), create_backbone("cifar_preact_resnet8")
    modules = dict(post.named_modules())
    assert all(layer.norm is modules[layer.name.replace("conv", "bn")] for layer in convolutions(post))
    assert [layer.norm is None for layer in convolutions(pre)] == [False] + [True] * 6


def test_block_names_are_those_of_the_state_dict() -> None:
    with torch.device("meta"):
        resnet = create_backbone("resnet34")
    modules = dict(resnet.named_modules())
    blocks = named_blocks(resnet)
    assert len(blocks) == 16
    assert all(modules[name] is block for name, block in blocks)
