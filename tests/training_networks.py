"""Networks and detectors with frozen BN that does something, and steps of training to compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from rounding import ALGEBRA, assert_near
from tiny_detectors import picture, tiny_detector
from torch import Tensor, nn

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.registry import create_backbone
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.roi_heads import Regions
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.structures import PixelConvention, Target

Step = tuple[Tensor, dict[str, Tensor]]


def with_statistics(network: nn.Module) -> nn.Module:
    """``network`` itself; its frozen BN changes what it is given, and keeps it in size."""
    torch.manual_seed(1)
    for norm in network.modules():
        if isinstance(norm, FrozenBatchNorm2d):
            norm.weight.uniform_(0.5, 1.5)
            norm.running_var.uniform_(0.5, 2)
            norm.bias.uniform_(-0.2, 0.2)
            norm.running_mean.uniform_(-0.2, 0.2)
    return network


def frozen_network(name: str, **options: object) -> nn.Module:
    """A narrow network in float64."""
    torch.manual_seed(0)
    return with_statistics(create_backbone(name, **{"width": 8, "norm": FrozenBatchNorm2d, **options})).double()


def step(module: nn.Module, x: Tensor, run: Callable[[Tensor], Tensor] | None = None) -> Step:
    """What a module, or ``run``, gives for ``x``, and the gradients of its parameters for a random one of the result."""
    module.zero_grad()
    result = (run or module)(x)
    generator = torch.Generator().manual_seed(1)
    (result * torch.randn(result.shape, generator=generator).to(result)).sum().backward()
    return result.detach(), {name: each.grad.clone() for name, each in module.named_parameters() if each.grad is not None}


def set_recompute(network: nn.Module, recompute: bool) -> None:
    """Let all residual blocks keep only their inputs for the way back, or all."""
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            block.recompute = recompute


def kept_numbers(module: nn.Module, x: Tensor) -> int:
    """How many numbers a pass over ``x`` keeps for the way back."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        sizes[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        module(x)
    return sum(sizes.values())


def assert_same_step(found: Step, expected: Step, relative: float = ALGEBRA) -> None:
    """Fail where results or gradients differ by more than rounding."""
    assert_near(found[0], expected[0], relative)
    assert found[1].keys() == expected[1].keys()
    assert found[1]
    for name, gradient in expected[1].items():
        assert_near(found[1][name], gradient, relative, name)


class DoublePixels(PixelConvention):
    """Numbers of images for a network in float64."""

    def normalize(self, image: Tensor, mean_image: Tensor | None = None) -> Tensor:
        return super().normalize(image, mean_image).double()


def training_detector(**changes: dict[str, Any]) -> FasterRCNN:
    """A small detector of bottlenecks in training mode, in float64."""
    model = with_statistics(tiny_detector(**{"backbone": {"name": "resnet50", "width": 8}, **changes})).double()
    assert isinstance(model, FasterRCNN)
    model.pixels = DoublePixels(**{field.name: getattr(model.pixels, field.name) for field in fields(model.pixels)})
    drawn = model.roi_heads.sample_regions

    def in_float64(*inputs: Any) -> Regions:
        regions = drawn(*inputs)
        return replace(regions, boxes=[boxes.double() for boxes in regions.boxes])

    model.roi_heads.sample_regions = in_float64  # RoIAlign wants boxes as its map
    return model.train()


IMAGES = [picture(1, 64, 96), picture(2, 70, 50)]
TARGETS = [
    Target(torch.tensor([[5.0, 5, 60, 50], [40, 20, 90, 60]]), torch.tensor([0, 2]), (64, 96)),
    Target(torch.tensor([[2.0, 10, 40, 65]]), torch.tensor([1]), (70, 50)),
]


def losses_step(model: FasterRCNN, proposals: list[Tensor] | None = None) -> Step:
    """The losses of one step of training, always with the same regions drawn, and their gradients."""
    torch.manual_seed(3)
    return step(model, torch.empty(0), lambda _: torch.stack([*model.losses(IMAGES, TARGETS, proposals).values()]))
