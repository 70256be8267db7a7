"""Costs of the networks: the paper's table 1 and layers counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resdet.analysis.flops import count_multiply_adds, count_parameters
from resdet.models.registry import create_backbone


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
    # one unit of the last printed digit: the paper rounds the deep ones and cuts those of 34 and 50 layers
    assert count / 1e9 == pytest.approx(printed, abs=0.1)


def test_option_a_rounds_to_the_papers_34_layers() -> None:
    with torch.device("meta"):
        counts = [
            count_multiply_adds(network, torch.empty(1, 3, 224, 224))
            for network in (create_backbone("resnet34", shortcut="A"), create_backbone("plain34"))
        ]
    assert [round(count / 1e9, 1) for count in counts] == [3.6, 3.6]
