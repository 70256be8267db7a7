"""Parameters that a step leaves out have gradient 0, and not none: their momentum and weight decay go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


def untouched(result: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
    """``result``, of which the parameters that train get a gradient of 0 besides what reaches them on other ways."""
    given: Tensor = _Untouched.apply(result, *(each for each in parameters if each.requires_grad))
    return given


class _Untouched(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, result: Tensor, *parameters: Tensor) -> Tensor:
        ctx.parameters = parameters
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return gradient, *map(torch.zeros_like, ctx.parameters)
