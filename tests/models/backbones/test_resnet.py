"""The ImageNet networks against torchvision's, the paper's numbers, and hand computations."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from resdet.errors import ConfigError
from resdet.models.registry import create_backbone
from resdet.ops.frozen_bn import FrozenBatchNorm2d

PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_parameter_count_and_state_dict_are_torchvisions(name: str, count: int) -> None:
    with torch.device("meta"):
        ours, theirs = create_backbone(name), getattr(torchvision.models, name)()
    assert sum(parameter.numel() for parameter in ours.parameters()) == count
    shapes = [(key, value.shape) for key, value in ours.state_dict().items()]
    assert shapes == [(key, value.shape) for key, value in theirs.state_dict().items()]


@pytest.mark.parametrize(
    ("name", "stride_in_1x1", "dtype", "tolerance"),
    [
        ("resnet18", False, torch.float64, 1e-10),
        ("resnet18", False, torch.float32, 1e-5),
        ("resnet34", False, torch.float32, 1e-5),
        pytest.param("resnet34", False, torch.float64, 1e-10, marks=pytest.mark.slow),
        ("resnet50", False, torch.float32, 1e-5),
        pytest.param("resnet50", False, torch.float64, 1e-10, marks=pytest.mark.slow),
        ("resnet50", True, torch.float64, 1e-10),
        pytest.param("resnet101", False, torch.float64, 1e-10, marks=pytest.mark.slow),
        pytest.param("resnet101", True, torch.float64, 1e-10, marks=pytest.mark.slow),
        pytest.param("resnet152", False, torch.float64, 1e-10, marks=pytest.mark.slow),
        pytest.param("resnet152", True, torch.float64, 1e-10, marks=pytest.mark.slow),
    ],
)
def test_outputs_and_gradients_equal_torchvisions(name: str, stride_in_1x1: bool, dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(num_classes=7).to(dtype)
    if stride_in_1x1:
        for block in theirs.modules():
            if isinstance(block, torchvision.models.resnet.Bottleneck):
                block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    ours = create_backbone(name, num_classes=7, stride_in_1x1=stride_in_1x1).to(dtype)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images, labels = torch.randn(2, 3, 65, 64, dtype=dtype), torch.tensor([1, 5])
    for mode in (True, False):  # batch statistics first, so that eval mode has running ones to use
        expected, actual = theirs.train(mode)(images), ours.train(mode)(images)
        torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)
        for model, logits in ((theirs, expected), (ours, actual)):
            model.zero_grad()
            F.cross_entropy(logits, labels).backward()
        gradients = dict(theirs.named_parameters())
        for key, parameter in ours.named_parameters():
            largest = float(gradients[key].grad.abs().max())
            torch.testing.assert_close(parameter.grad, gradients[key].grad, rtol=tolerance, atol=tolerance * max(largest, 1))
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=tolerance, atol=tolerance)


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


def test_plain_networks_have_no_shortcut() -> None:
    with torch.device("meta"):
        plain, residual = create_backbone("plain34"), create_backbone("resnet34", shortcut="A")
    assert all(block.downsample is None for block in plain.blocks())
    assert [key for key, _ in plain.named_parameters()] == [key for key, _ in residual.named_parameters()]
    with pytest.raises(ConfigError, match="plain18: 'shortcut' must be none"):
        create_backbone("plain18", shortcut="B")


def test_width_channels_and_norm_are_free() -> None:
    network = create_backbone("resnet18", width=8, in_channels=1, num_classes=3, norm=FrozenBatchNorm2d)
    assert network.spec.stage_channels == (8, 16, 32, 64)
    assert network(torch.randn(2, 1, 33, 47)).shape == (2, 3)
    assert network.forward_features(torch.randn(1, 1, 33, 47)).shape == (1, 64, 2, 2)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())


def _reference_block(x: Tensor, state: dict[str, Tensor], prefix: str, option: str, stride: int) -> Tensor:
    """A basic block of option ``option`` on torch.nn.functional alone, BN with batch statistics written out."""

    def norm(values: Tensor, name: str) -> Tensor:
        mean = values.mean((0, 2, 3), keepdim=True)
        variance = (values - mean).square().mean((0, 2, 3), keepdim=True)
        scaled = (values - mean) / (variance + 1e-5).sqrt()
        return scaled * state[f"{name}.weight"].view(1, -1, 1, 1) + state[f"{name}.bias"].view(1, -1, 1, 1)

    branch = F.conv2d(x, state[f"{prefix}.conv1.weight"], stride=stride, padding=1)
    branch = norm(branch, f"{prefix}.bn1").clamp(min=0)
    branch = norm(F.conv2d(branch, state[f"{prefix}.conv2.weight"], padding=1), f"{prefix}.bn2")
    if option == "none":
        return branch.clamp(min=0)
    if f"{prefix}.downsample.0.weight" in state:
        shortcut = norm(F.conv2d(x, state[f"{prefix}.downsample.0.weight"], stride=stride), f"{prefix}.downsample.1")
    else:
        shortcut = torch.zeros_like(branch)
        first = (branch.shape[1] - x.shape[1]) // 2
        shortcut[:, first : first + x.shape[1]] = x[:, :, ::stride, ::stride]
    return (branch + shortcut).clamp(min=0)


@pytest.mark.parametrize(("option", "projections"), [("A", 0), ("B", 3), ("C", 8), ("none", 0)])
def test_shortcut_options_against_hand_computation(option: str, projections: int) -> None:
    torch.manual_seed(1)
    network = create_backbone("resnet18", shortcut=option, width=4, num_classes=3).double()
    for key, value in network.state_dict().items():
        if "bn" in key and key.endswith(("weight", "bias")):
            value.normal_()
    state = network.state_dict()
    assert sum(key.endswith("downsample.0.weight") for key in state) == projections
    x = torch.randn(2, 3, 40, 37, dtype=torch.float64)
    expected = F.conv2d(x, state["conv1.weight"], stride=2, padding=3)
    mean, variance = expected.mean((0, 2, 3), keepdim=True), expected.var((0, 2, 3), unbiased=False, keepdim=True)
    expected = (expected - mean) / (variance + 1e-5).sqrt()
    expected = expected * state["bn1.weight"].view(1, -1, 1, 1) + state["bn1.bias"].view(1, -1, 1, 1)
    expected = F.max_pool2d(expected.clamp(min=0), 3, 2, 1)
    for stage in range(1, 5):
        for index in range(2):
            stride = 2 if stage > 1 and index == 0 else 1
            expected = _reference_block(expected, state, f"layer{stage}.{index}", option, stride)
    expected = expected.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]
    torch.testing.assert_close(network(x), expected, rtol=1e-10, atol=1e-10)
