"""The CIFAR networks: sizes of the paper's table 6 and its layout."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resdet.errors import ConfigError
from resdet.models.backbones.cifar import cifar_resnet
from resdet.models.registry import create_backbone


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
    with torch.device("meta"):
        network = cifar_resnet(depth)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == exact
    assert count / 1e6 == pytest.approx(printed, abs=0.05 if printed > 1 else 0.005)
    # 6n + 2 weighted layers
    assert sum(isinstance(part, (nn.Conv2d, nn.Linear)) for part in network.modules()) == depth


def test_maps_are_32_16_8_with_16_32_64_channels() -> None:
    network = create_backbone("cifar_resnet20")
    x = network.bn1(network.conv1(torch.randn(2, 3, 32, 32)))
    shapes = []
    for stage in network.stages():
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("depth", [2, 9, 21, 0, -4])
def test_depth_must_be_6n_plus_2(depth: int) -> None:
    with pytest.raises(ConfigError, match=f"6n \\+ 2 with n >= 1, got {depth}"):
        cifar_resnet(depth)
