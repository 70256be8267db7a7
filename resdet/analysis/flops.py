"""Counts the cost of a network: parameters and multiply-adds."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn


def count_parameters(model: nn.Module) -> int:
    """The number of parameters, including frozen ones; BN's statistics are not counted."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_multiply_adds(model: nn.Module, *inputs: Tensor) -> int:
    """Multiply-adds of the convolutions and linear layers in ``model(*inputs)``, as the paper's table 1 counts them.

    It runs the network once, without gradients and without changing it; tensors on the meta device cost nothing.

    Args:
        model: any network.
        inputs: the arguments of the network; for the cost of one image, a batch of one.
    """
    total = 0

    def add(layer: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
        nonlocal total
        total += output.numel() * math.prod(cast(Tensor, layer.weight).shape[1:])

    hooks = [part.register_forward_hook(add) for part in model.modules() if isinstance(part, (nn.Conv2d, nn.Linear))]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return total
