"""Costs of the networks: the paper's table 1 and layers counted by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from resdet.analysis.flops import count_multiply_adds, count_parameters
from resdet.models.backbones.registry import create_backbone


def test_layers_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(54, 5)
    )
    # 6 channels x 3 x 3 positions x (2 inputs x 3 x 3) + 5 outputs x 54 inputs, for each of two images
    assert count_multiply_adds(network, torch.zeros(2, 4, 6, 6)) == 2 * (6 * 9 * 18 + 5 * 54)
    assert count_parameters(network) == 6 * 18 + 6 + 12 + 54 * 5 + 5
    assert not any(part._forward_hooks for part in network.modules())


@pytest.mark.parametrize(
    ("name", "printed", "exact"),
    [
        ("resnet18", 1.8, 1_814_073_344),
        ("resnet34", 3.6, 3_663_761_408),
        ("resnet50", 3.8, 3_857_973_248),
        ("resnet101", 7.6, 7_570_194_432),
        ("resnet152", 11.3, 11_282_415_616),
    ],
)
def test_multiply_adds_of_table_1(name: str, printed: float, exact: int) -> None:
    with torch.device("meta"):
        count = count_multiply_adds(create_backbone(name, stride_in_1x1=True), torch.empty(1, 3, 224, 224))
    assert count == exact
    if name in {"resnet34", "resnet50"}:  # with projections in 34 layers; 3.858 of 50 layers is printed as 3.8
        assert math.floor(count / 1e8) / 10 == printed
    else:
        assert round(count / 1e9, 1) == printed


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "cifar_resnet20"])
def test_preactivation_costs_no_multiply_adds(name: str) -> None:
    side = 32 if name.startswith("cifar") else 224
    with torch.device("meta"):
        networks = create_backbone(name), create_backbone(name.replace("resnet", "preact_resnet"))
        counts = [count_multiply_adds(network, torch.empty(1, 3, side, side)) for network in networks]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("n", [3, 5, 7, 9, 18])
def test_multiply_adds_of_cifar_networks(n: int) -> None:
    with torch.device("meta"):
        count = count_multiply_adds(create_backbone(f"cifar_resnet{6 * n + 2}"), torch.empty(1, 3, 32, 32))
    # a 3x3 layer costs the same in every stage: half the side, twice the channels; a stage's first layer has half the inputs
    layer = 9 * 16 * 16 * 32 * 32
    assert count == 9 * 3 * 16 * 32 * 32 + (6 * n - 2) * layer + 2 * layer // 2 + 64 * 10


def test_option_a_rounds_to_the_papers_34_layers() -> None:
    with torch.device("meta"):
        counts = [
            count_multiply_adds(network, torch.empty(1, 3, 224, 224))
            for network in (create_backbone("resnet34", shortcut="A"), create_backbone("plain34"))
        ]
    assert [round(count / 1e9, 1) for count in counts] == [3.6, 3.6]
