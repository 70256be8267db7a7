"""Trunk and head: the same network, cut before conv5_1."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import ALGEBRA, assert_near
from torch import nn

from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.split import Trunk, freeze_stages, split_c4


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "preact_resnet18", "preact_resnet50"])
@pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
def test_trunk_then_head_is_the_whole_network(name: str, shortcut: str) -> None:
    network = create_backbone(name, shortcut=shortcut, width=8, num_classes=5, stride_in_1x1=True).double()
    trunk, head = split_c4(network)
    images = torch.randn(2, 3, 65, 97, dtype=torch.float64)
    network(images)  # statistics that are not 0 and 1
    network.eval()
    features = head(trunk(images))
    assert torch.equal(features, network.forward_features(images))
    assert_near(network.fc(features.mean((2, 3))), network(images), ALGEBRA)


@pytest.mark.parametrize(
    ("name", "channels"),
    [("resnet18", (256, 512)), ("resnet34", (256, 512)), ("resnet101", (1024, 2048)), ("preact_resnet50", (1024, 2048))],
)
def test_channels_and_strides(name: str, channels: tuple[int, int]) -> None:
    with torch.device("meta"):
        trunk, head = split_c4(create_backbone(name))
        assert (trunk.out_channels, head.in_channels, head.out_channels) == (channels[0], *channels)
        assert (trunk.stride, head.stride) == (16, 2)
        assert trunk(torch.empty(1, 3, 600, 1000)).shape == (1, channels[0], 38, 63)
        assert head(torch.empty(4, channels[0], 14, 14)).shape == (4, channels[1], 7, 7)


def test_the_trunk_of_101_layers_has_91_of_them() -> None:
    with torch.device("meta"):
        trunk, _ = split_c4(create_backbone("resnet101"))
    layers = [name for name, part in trunk.named_modules() if isinstance(part, nn.Conv2d)]
    assert sum("downsample" not in name for name in layers) == 91  # paper, appendix A


@pytest.fixture(scope="module")
def meta_trunk() -> Trunk:
    """Shapes alone, no arithmetic."""
    with torch.device("meta"):
        return split_c4(create_backbone("resnet18", width=1).eval())[0]


@settings(max_examples=20)
@given(height=st.integers(1, 130), width=st.integers(1, 130))
def test_map_of_any_image_is_its_size_over_16_rounded_up(meta_trunk: Trunk, height: int, width: int) -> None:
    features = meta_trunk(torch.empty(1, 3, height, width, device="meta"))
    assert features.shape[2:] == (math.ceil(height / 16), math.ceil(width / 16))


def test_map_of_a_preactivation_trunk_is_not_activated_and_its_head_is() -> None:
    torch.manual_seed(0)
    trunk, head = split_c4(create_backbone("preact_resnet18", width=8).requires_grad_(False))
    features = trunk(torch.randn(2, 3, 64, 64))
    assert float(features.min()) < 0
    before = features.clone()
    assert float(head(features).min()) == 0
    assert torch.equal(features, before)  # the region classifier and the RPN share the map


@pytest.mark.parametrize("name", ["resnet50", "preact_resnet50"])
def test_state_dict_keys_are_the_networks(name: str) -> None:
    with torch.device("meta"):
        network = create_backbone(name)
    trunk, head = split_c4(network)
    assert any(key.startswith("bn_last.") for key in head.state_dict()) == (name == "preact_resnet50")
    assert [*trunk.state_dict(), *head.state_dict()] == [key for key in network.state_dict() if not key.startswith("fc.")]


@pytest.mark.parametrize("name", ["resnet50", "preact_resnet50"])
@pytest.mark.parametrize("freeze_at", range(6))
def test_freezing_stops_exactly_the_first_stages(name: str, freeze_at: int) -> None:
    network = create_backbone(name, width=4)
    trunk, head = split_c4(network)
    freeze_stages(trunk, head, freeze_at)
    stages = [("conv1.", "bn1."), ("layer1.",), ("layer2.",), ("layer3.",), ("layer4.", "bn_last.")]
    frozen = tuple(prefix for stage in stages[:freeze_at] for prefix in stage)
    for key, parameter in network.named_parameters():
        assert parameter.requires_grad != key.startswith(frozen or "nothing"), key


@pytest.mark.parametrize(
    ("freeze_at", "trainable"), [(0, 0), (1, 9_536), (2, 225_344), (3, 1_444_928), (4, 8_543_296), (5, 23_508_032)]
)
def test_frozen_parameters_of_resnet50(freeze_at: int, trainable: int) -> None:
    with torch.device("meta"):
        trunk, head = split_c4(create_backbone("resnet50"))
    freeze_stages(trunk, head, freeze_at)
    parameters = [*trunk.parameters(), *head.parameters()]
    assert sum(parameter.numel() for parameter in parameters if not parameter.requires_grad) == trainable


@pytest.mark.parametrize("freeze_at", [-1, 6])
def test_freezing_stages_that_are_not_there_is_refused(freeze_at: int) -> None:
    trunk, head = split_c4(create_backbone("resnet18", width=2))
    with pytest.raises(ConfigError, match=f"'freeze_at' must be in 0 … 5, got {freeze_at}"):
        freeze_stages(trunk, head, freeze_at)


def test_a_cifar_network_has_no_c4() -> None:
    with pytest.raises(ConfigError, match="'cifar_resnet20' has 3 stages"):
        split_c4(create_backbone("cifar_resnet20"))
