"""The table of backbones and their cost."""

from __future__ import annotations

import re

import pytest
import torch
import torchvision

from resdet.analysis.flops import count_multiply_adds
from resdet.facts.backbones import backbones_text, cost_line
from resdet.models.backbones.registry import create_backbone


def test_the_papers_figures_stand_beside_ours() -> None:
    """Multiply-adds of table 1, parameters of table 6: ours, rounded to the digits printed, but for two that the note names."""
    shown, printed = backbones_text(), {}
    for line in shown.splitlines():
        if row := re.fullmatch(r"(\w+) +([\d,]+) +([\d.]+) G +([\d.]+) ([GM])", line):
            name, parameters, multiply_adds, figure, unit = row.groups()
            printed[name] = f"{figure} {unit}"
            ours = float(multiply_adds) if unit == "G" else int(parameters.replace(",", "")) / 1e6
            digits = len(figure.partition(".")[2])
            assert (round(ours, digits) == float(figure)) == (name not in {"resnet34", "resnet50"}), name
    multiply_adds = {"resnet18": 1.8, "resnet34": 3.6, "resnet50": 3.8, "resnet101": 7.6, "resnet152": 11.3}
    multiply_adds |= {"plain18": 1.8, "plain34": 3.6}
    parameters = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7, 1202: 19.4}
    expected = {name: f"{figure} G" for name, figure in multiply_adds.items()}
    assert printed == expected | {f"cifar_resnet{depth}": f"{figure} M" for depth, figure in parameters.items()}
    with torch.device("meta"):
        option_a = count_multiply_adds(create_backbone("resnet34", shortcut="A"), torch.empty(1, 3, 224, 224))
    assert f"({option_a / 1e9:.3f} G; here it has B)" in shown


@pytest.mark.parametrize("name", ["resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"])
def test_networks_of_others_cost_what_torchvision_says(name: str) -> None:
    said = torchvision.models.get_model_weights(name).DEFAULT.meta
    _, parameters, multiply_adds, _ = cost_line(name).split()
    assert int(parameters.replace(",", "")) == said["num_params"]
    assert float(multiply_adds) == pytest.approx(said["_ops"], abs=0.0011)  # both are rounded to three digits


def test_resnet_d_has_its_stride_in_the_3x3() -> None:
    assert cost_line("resnet50d") == cost_line("resnet50d", stride_in_1x1=False) != cost_line("resnet50d", stride_in_1x1=True)


def test_options_change_the_cost() -> None:
    """The stride is in the first 1x1, as in the paper, unless an option says otherwise; the other place costs more."""
    rows = {place: cost_line("resnet50", stride_in_1x1=place).split() for place in (True, False)}
    assert cost_line("resnet50").split() == rows[True] == ["resnet50", "25,557,032", "3.858", "G"]
    with torch.device("meta"):
        other = count_multiply_adds(create_backbone("resnet50", stride_in_1x1=False), torch.empty(1, 3, 224, 224))
    assert rows[False] == ["resnet50", "25,557,032", f"{other / 1e9:.3f}", "G"]
    assert other > 3.858e9
