"""The cost of the backbones, beside the figures in the paper.

The multiply-adds are those of one image of 224x224 pixels (CIFAR nets: 32x32). Bottlenecks have their stride in the first 1x1,
as in the paper; in the 3x3 in ResNeXt, wide ResNets and ResNet-D, as their authors have it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from resdet.analysis.flops import count_multiply_adds, count_parameters
from resdet.models.backbones.registry import create_backbone, family_rules, list_backbones

# the paper's table 1 (multiply-adds, 1e9, at 224x224 pixels) and table 6 (parameters, 1e6)
_PRINTED = {
    "resnet18": "1.8 G",
    "resnet34": "3.6 G",
    "resnet50": "3.8 G",
    "resnet101": "7.6 G",
    "resnet152": "11.3 G",
    "plain18": "1.8 G",
    "plain34": "3.6 G",
    "cifar_resnet20": "0.27 M",
    "cifar_resnet32": "0.46 M",
    "cifar_resnet44": "0.66 M",
    "cifar_resnet56": "0.85 M",
    "cifar_resnet110": "1.7 M",
    "cifar_resnet1202": "19.4 M",
}
_NOTES = """\
printed: the paper's multiply-adds (G, table 1) or parameters (M, table 6). They are ours, rounded, but for two: resnet34 rounds
to 3.6 G with shortcut A (3.644 G; here it has B), and the 3.858 G of resnet50 are printed as 3.8, cut and not rounded."""


def backbones_text() -> str:
    """A table of all listed backbones and their cost, and the families that come in other depths too."""
    header = f"{'backbone':<25}{'parameters':>12}{'multiply-adds':>16}{'printed':>10}"
    rows = [f"{cost_line(name)}{_PRINTED.get(name, ''):>10}".rstrip() for name in list_backbones()]
    others = [f"{name + 'DEPTH':<33}{rule}" for name, rule in family_rules().items()]
    return "\n".join([header, *rows, "", _NOTES, "", f"{'of any depth':<33}layers", *others])


def backbones_values() -> list[dict[str, Any]]:
    """The same table for programs."""
    return [{"backbone": name, **backbone_cost(name), "printed": _PRINTED.get(name)} for name in list_backbones()]


def cost_line(name: str, **options: Any) -> str:
    """Name, parameters and multiply-adds of a backbone, as one row; arguments and errors are those of ``backbone_cost``."""
    cost = backbone_cost(name, **options)
    return f"{name:<25}{cost['parameters']:>12,}{cost['multiply_adds'] / 1e9:>14.3f} G"


def backbone_cost(name: str, **options: Any) -> dict[str, int]:
    """The number of "parameters" and of "multiply_adds" of a backbone.

    Args:
        name: a name of the backbone registry.
        options: the options of ``create_backbone``; the stride is where the network's authors have it unless they differ.

    Raises:
        ConfigError: as ``create_backbone`` does.
    """
    with torch.device("meta"):  # shapes without memory or arithmetic
        model = create_backbone(name, norm=_PassingNorm, **{"stride_in_1x1": _has_stride_in_1x1(name), **options})
        side = 32 if model.spec.stem == "cifar" else 224
        multiply_adds = count_multiply_adds(model, torch.empty(1, model.spec.in_channels, side, side))
    return {"parameters": count_parameters(model), "multiply_adds": multiply_adds}


def _has_stride_in_1x1(name: str) -> bool:
    return not (name.startswith(("resnext", "wide_resnet")) or name.endswith("d"))


class _PassingNorm(nn.BatchNorm2d):
    """A BN layer that returns its input, because BN takes nearly all the time on the meta device."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        return input
