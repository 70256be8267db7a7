"""Narrow networks, their states, and weights files that are loaded into them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.weights import LoadReport, load_backbone_weights
from resdet.structures import PixelConvention


def narrow_network(name: str = "resnet18", **options: Any) -> ResNet:
    """A network of a few channels and three classes."""
    return create_backbone(name, **{"width": 4, "num_classes": 3, **options})


def narrow_state(name: str = "resnet18", **options: Any) -> dict[str, Tensor]:
    """The state of a narrow network, the same at every call."""
    torch.manual_seed(7)
    return narrow_network(name, **options).state_dict()


def load_into(network: ResNet, path: Path, pixels: PixelConvention | None = None) -> LoadReport:
    """Load a weights file into a network, as a run file with the network's own stride asks."""
    return load_backbone_weights(network, path, pixels=pixels, stride_in_1x1=network.spec.stride_in_1x1)


def with_statistics(state: dict[str, Tensor], pixels: PixelConvention) -> dict[str, Tensor]:
    """The state with conv1's true statistics on smooth random pictures, as training under ``pixels`` would leave them."""
    small = torch.rand(16, 1, 8, 8) + 0.3 * torch.rand(16, 3, 8, 8)
    images = torch.nn.functional.interpolate(small, size=128, mode="bilinear")
    images = ((images - images.min()) / (images.max() - images.min()) * 255).to(torch.uint8)
    conv, norm = ("conv1.0", "conv1.1") if "conv1.0.weight" in state else ("conv1", "bn1")
    weight = state[f"{conv}.weight"].float()
    response = torch.nn.functional.conv2d(pixels.normalize(images), weight, stride=2, padding=weight.shape[-1] // 2)
    return {**state, f"{norm}.running_mean": response.mean((0, 2, 3)), f"{norm}.running_var": response.var((0, 2, 3))}
