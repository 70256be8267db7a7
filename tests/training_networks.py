"""Networks with frozen BN that does something, and steps of training to compare."""

from __future__ import annotations

from collections.abc import Callable

import torch
from rounding import ALGEBRA, assert_near
from torch import Tensor, nn

from resdet.models.registry import create_backbone
from resdet.ops.frozen_bn import FrozenBatchNorm2d

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
    return with_statistics(create_backbone(name, width=8, norm=FrozenBatchNorm2d, **options)).double()


def step(module: nn.Module, x: Tensor, run: Callable[[Tensor], Tensor] | None = None) -> Step:
    """What a module, or ``run``, gives for ``x``, and the gradients of its parameters for a random one of the result."""
    module.zero_grad()
    result = (run or module)(x)
    generator = torch.Generator().manual_seed(1)
    (result * torch.randn(result.shape, generator=generator, dtype=result.dtype)).sum().backward()
    return result.detach(), {name: each.grad.clone() for name, each in module.named_parameters() if each.grad is not None}


def assert_same_step(found: Step, expected: Step, relative: float = ALGEBRA) -> None:
    """Fail where results or gradients differ by more than rounding."""
    assert_near(found[0], expected[0], relative)
    assert found[1].keys() == expected[1].keys()
    assert found[1]
    for name, gradient in expected[1].items():
        assert_near(found[1][name], gradient, relative, name)
