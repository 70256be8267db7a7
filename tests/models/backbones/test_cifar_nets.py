"""The CIFAR networks: sizes of the paper's table 6, its layout, any depth."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone


@pytest.mark.parametrize(
    ("depth", "printed", "exact"),
    [
        (20, 0.27, 269_722),
        (32, 0.46, 464_154),
        (44, 0.66, 658_586),
        (56, 0.85, 853_018),
        (110, 1.7, 1_727_962),
        (1202, 19.4, 19_421_274),
    ],
)
def test_parameters_of_table_6(depth: int, printed: float, exact: int) -> None:
    for name in (f"cifar_resnet{depth}", f"cifar_plain{depth}", f"cifar_preact_resnet{depth}"):
        with torch.device("meta"):
            network = create_backbone(name)
        # the same for all three: option A and a plain network have no weights in their shortcuts
        assert _parameters(network) == exact
        # 6n + 2 weighted layers
        assert sum(isinstance(part, (nn.Conv2d, nn.Linear)) for part in network.modules()) == depth
    # all digits that the paper prints
    assert round(exact / 1e6, 1 if printed > 1 else 2) == printed


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _expected_basic(n: int, shortcut: str) -> int:
    """Weights, counted by hand: 3x3 convolutions, two numbers of BN for each filter, the classifier, projections."""
    first = 3 * 9 * 16 + 2 * 16
    stages = sum((2 * n - 1) * (9 * width * width + 2 * width) for width in (16, 32, 64))
    entries = 9 * 16 * 16 + 9 * 16 * 32 + 9 * 32 * 64 + 2 * (16 + 32 + 64)
    projections = {"A": 0, "none": 0, "B": 16 * 32 + 32 * 64 + 2 * (32 + 64)}
    projections["C"] = projections["B"] + sum((n - (width > 16)) * (width * width + 2 * width) for width in (16, 32, 64))
    return first + stages + entries + projections[shortcut] + 64 * 10 + 10


@settings(max_examples=30)
@given(n=st.integers(1, 12), shortcut=st.sampled_from(["A", "B", "C", "none"]))
def test_parameters_of_any_depth(n: int, shortcut: str) -> None:
    with torch.device("meta"):
        network = create_backbone(f"cifar_resnet{6 * n + 2}", shortcut=shortcut)
    assert network.spec.layers == (n, n, n)
    assert _parameters(network) == _expected_basic(n, shortcut)


@pytest.mark.parametrize("depth", [11, 20, 164, 1001])
def test_parameters_of_preactivation_bottlenecks(depth: int) -> None:
    n = (depth - 2) // 9
    expected = 3 * 9 * 16 + 2 * 16 + 10 * 256 + 10 + 2 * 256  # stem, classifier, last BN
    inputs = 16
    for width in (16, 32, 64):
        rest = 2 * 4 * width + 4 * width * width + 2 * width + 9 * width * width + 2 * width + 4 * width * width
        entry = 2 * inputs + inputs * width + 2 * width + 9 * width * width + 2 * width + 4 * width * width
        expected += entry + (n - 1) * rest + 4 * width * inputs  # and the projection
        inputs = 4 * width
    expected -= 2 * 16  # the first block starts with the stem's BN
    with torch.device("meta"):
        network = create_backbone(f"cifar_preact_bottleneck{depth}")
    assert _parameters(network) == expected
    assert sum(isinstance(part, (nn.Conv2d, nn.Linear)) for part in network.modules()) == depth + 3  # three projections
    assert [part.num_features for part in network.modules() if isinstance(part, nn.BatchNorm2d)][-1] == 256


@pytest.mark.parametrize(("depth", "exact"), [(164, 1_703_258), (1001, 10_327_706)])
def test_the_bottleneck_networks_of_2016_have_their_names(depth: int, exact: int) -> None:
    with torch.device("meta"):
        network, same = create_backbone(f"cifar_preact_resnet{depth}"), create_backbone(f"cifar_preact_bottleneck{depth}")
    assert (network.spec.name, network.spec.block) == (f"cifar_preact_resnet{depth}", "bottleneck")
    assert _parameters(network) == exact
    assert [(key, value.shape) for key, value in network.state_dict().items()] == [
        (key, value.shape) for key, value in same.state_dict().items()
    ]


@pytest.mark.parametrize("name", ["cifar_resnet1202", "cifar_preact_resnet1001", "cifar_preact_resnet1202"])
def test_a_thousand_layers_run_forward_and_backward(name: str) -> None:
    torch.manual_seed(0)
    network = create_backbone(name, width=4)
    logits = network(torch.randn(2, 3, 16, 16))
    nn.functional.cross_entropy(logits, torch.tensor([1, 2])).backward()
    assert torch.isfinite(logits).all()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients.values())
    assert float(gradients["conv1.weight"].abs().max()) > 0
    assert next(iter(network.state_dict())) == "conv1.weight"
    assert list(network.state_dict())[-1] == "fc.bias"


def test_maps_are_32_16_8_with_16_32_64_channels() -> None:
    network = create_backbone("cifar_resnet20")
    x = network.bn1(network.conv1(torch.randn(2, 3, 32, 32)))
    shapes = []
    for stage in network.stages():
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_preactivation_bottlenecks_end_with_64_128_256_channels() -> None:
    network = create_backbone("cifar_preact_bottleneck11").eval()
    assert network.spec.stage_channels == (64, 128, 256)
    features = network.forward_features(torch.randn(2, 3, 32, 32))
    assert features.shape == (2, 256, 8, 8)
    assert bool((features >= 0).all())  # after the last ReLU
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("family", "depth", "rule"),
    [("cifar_resnet", depth, "6n") for depth in (2, 9, 21)]
    + [("cifar_plain", 21, "6n"), ("cifar_preact_resnet", 155, "6n")]
    + [("cifar_preact_bottleneck", 2, "9n"), ("cifar_preact_bottleneck", 110 + 6, "9n")],
)
def test_a_depth_must_fit_its_family(family: str, depth: int, rule: str) -> None:
    with pytest.raises(ConfigError, match=f"{family}: 'depth' must be {rule} \\+ 2 with n >= 1, got {depth}"):
        create_backbone(f"{family}{depth}")
