"""The ImageNet networks against torchvision's, the paper's numbers, and hand computations."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision
from rounding import ALGEBRA, network
from side_by_side import assert_same_training
from torch import nn

from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.ops.frozen_bn import FrozenBatchNorm2d

PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}
VARIANTS = {
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
}


@pytest.mark.parametrize(("name", "count"), {**PARAMETERS, **VARIANTS}.items())
def test_parameter_count_and_state_dict_are_torchvisions(name: str, count: int) -> None:
    with torch.device("meta"):
        ours, theirs = create_backbone(name), getattr(torchvision.models, name)()
    assert sum(parameter.numel() for parameter in ours.parameters()) == count
    shapes = [(key, value.shape) for key, value in ours.state_dict().items()]
    assert shapes == [(key, value.shape) for key, value in theirs.state_dict().items()]


_SINGLE, _DOUBLE = (torch.float32, network(152, 9 * 512, torch.float32)), (torch.float64, ALGEBRA)


@pytest.mark.parametrize(
    ("name", "stride_in_1x1", "dtype", "tolerance"),
    [
        ("resnet18", False, *_SINGLE),
        ("resnet18", False, *_DOUBLE),
        ("resnet34", False, *_SINGLE),
        pytest.param("resnet34", False, *_DOUBLE, marks=pytest.mark.slow),
        ("resnet50", False, *_SINGLE),
        pytest.param("resnet50", False, *_DOUBLE, marks=pytest.mark.slow),
        pytest.param("resnet50", True, *_DOUBLE, marks=pytest.mark.slow),
        pytest.param("resnet101", False, *_SINGLE, marks=pytest.mark.slow),
        pytest.param("resnet101", False, *_DOUBLE, marks=pytest.mark.slow),
        pytest.param("resnet152", False, *_SINGLE, marks=pytest.mark.slow),
        pytest.param("resnet152", False, *_DOUBLE, marks=pytest.mark.slow),
        ("resnext50_32x4d", False, *_DOUBLE),
        ("wide_resnet50_2", False, *_DOUBLE),
        pytest.param("resnext101_32x8d", False, *_DOUBLE, marks=pytest.mark.slow),
        pytest.param("wide_resnet101_2", False, *_SINGLE, marks=pytest.mark.slow),
    ],
)
def test_training_steps_equal_torchvisions(name: str, stride_in_1x1: bool, dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(num_classes=7)
    if stride_in_1x1:
        for block in theirs.modules():
            if isinstance(block, torchvision.models.resnet.Bottleneck):
                block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    ours = create_backbone(name, num_classes=7, stride_in_1x1=stride_in_1x1)
    assert_same_training(ours, theirs, dtype, tolerance)


@pytest.mark.parametrize(("stride_in_1x1", "expected"), [(True, [(2, 2), (1, 1), (1, 1)]), (False, [(1, 1), (2, 2), (1, 1)])])
def test_stride_sits_where_it_is_asked_for(stride_in_1x1: bool, expected: list) -> None:
    with torch.device("meta"):
        network = create_backbone("resnet50", stride_in_1x1=stride_in_1x1)
    for number, stage in enumerate(network.stages()):
        for index, block in enumerate(stage):
            strides = [block.conv1.stride, block.conv2.stride, block.conv3.stride]
            assert strides == (expected if number > 0 and index == 0 else [(1, 1)] * 3)
            if isinstance(block.downsample, nn.Sequential):
                assert block.downsample[0].stride == ((2, 2) if number > 0 else (1, 1))


def test_he_initialization() -> None:
    torch.manual_seed(0)
    network = create_backbone("resnet50")
    for key, value in network.state_dict().items():
        if value.ndim == 4 or key == "fc.weight":
            assert float(value.std()) == pytest.approx(math.sqrt(2 / value[0].numel()), rel=0.05), key
            assert abs(float(value.mean())) < 0.05 * float(value.std()), key
        elif key.endswith(("bias", "running_mean")):
            assert (value == 0).all(), key
        elif key.endswith(("weight", "running_var")):
            assert (value == 1).all(), key


def test_zero_init_last_makes_every_block_its_shortcut() -> None:
    network = create_backbone("resnet50", zero_init_last=True, width=4, num_classes=2).eval()
    zeroed = {key for key, value in network.state_dict().items() if key.endswith("weight") and (value == 0).all()}
    assert zeroed == {key for key in network.state_dict() if key.endswith("bn3.weight")}
    block = network.layer1[1]
    x = torch.rand(1, 16, 6, 6)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("name", "residual"), [("plain34", "resnet34"), ("cifar_plain26", "cifar_resnet26")])
def test_plain_networks_have_no_shortcut(name: str, residual: str) -> None:
    with torch.device("meta"):
        plain, with_identities = create_backbone(name), create_backbone(residual, shortcut="A")
    assert all(block.downsample is None for block in plain.blocks())
    assert [key for key, _ in plain.named_parameters()] == [key for key, _ in with_identities.named_parameters()]
    with pytest.raises(ConfigError, match=f"{name}: 'shortcut' must be none, a plain network has no shortcuts, got 'B'"):
        create_backbone(name, shortcut="B")


def test_width_channels_and_norm_are_free() -> None:
    network = create_backbone("resnet18", width=8, in_channels=1, num_classes=3, norm=FrozenBatchNorm2d)
    assert network.spec.stage_channels == (8, 16, 32, 64)
    assert network(torch.randn(2, 1, 33, 47)).shape == (2, 3)
    assert network.forward_features(torch.randn(1, 1, 33, 47)).shape == (1, 64, 2, 2)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())


@pytest.mark.parametrize(
    ("name", "projections"),
    [("resnet18", {"A": 0, "B": 3, "C": 8, "none": 0}), ("preact_resnet50", {"A": 0, "B": 4, "C": 16, "none": 0})],
)
def test_projections_of_each_shortcut_option(name: str, projections: dict[str, int]) -> None:
    for option, count in projections.items():
        with torch.device("meta"):
            keys = create_backbone(name, shortcut=option).state_dict()
        assert sum(key.endswith("downsample.0.weight") for key in keys) == count
        # BN follows a projection, but leaves a pre-activation network's path clean
        assert sum(key.endswith("downsample.1.weight") for key in keys) == (count if name == "resnet18" else 0)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_preactivation_networks(name: str) -> None:
    """The convolutions and ``fc`` are those of the paper's network; each BN has the channels of the map it stands on."""
    with torch.device("meta"):
        ours, post = create_backbone(f"preact_{name}"), create_backbone(name)

    def convolutions(network: nn.Module) -> list:
        return [(key, value.shape) for key, value in network.named_parameters() if value.ndim != 1 or key == "fc.bias"]

    assert sorted(convolutions(ours)) == sorted(convolutions(post))
    # the stem's BN, one before each convolution of a branch but the very first, and the last one
    inputs = [conv.in_channels for block in ours.blocks() for conv, _ in block.layers]
    norms = [64, *inputs[1:], ours.spec.stage_channels[-1]]
    assert [part.num_features for part in ours.modules() if isinstance(part, nn.BatchNorm2d)] == norms
