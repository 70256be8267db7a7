"""Builds the optimizer of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from resdet.errors import ConfigError


def build_sgd(
    model: nn.Module, lr: float, momentum: float, weight_decay: float, *, decay_norm_and_bias: bool = True
) -> torch.optim.SGD:
    """SGD over the parameters of ``model`` that are not frozen (paper, section 3.4).

    Args:
        model: the network to train.
        lr: learning rate.
        momentum: in [0, 1].
        weight_decay: the L2 penalty; as in the paper it is on every parameter.
        decay_norm_and_bias: False leaves parameters of one dimension (BN's scale and shift, biases) without the penalty.

    Returns:
        The optimizer; its step is one pass over the parameters where the device has a kernel for that.

    Raises:
        ConfigError: when every parameter is frozen.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ConfigError(f"nothing to train: every parameter of {type(model).__name__} is frozen")
    groups: list[dict[str, Any]] = [{"params": parameters}]
    if not decay_norm_and_bias:
        vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=_fuses(parameters))
    optimizer.register_load_state_dict_post_hook(_lay_out)
    return optimizer


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """What an optimizer trains, in its order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _fuses(parameters: Sequence[nn.Parameter]) -> bool:
    """Whether torch has a kernel that takes the step in one pass."""
    return all(parameter.device.type in ("cpu", "cuda") and parameter.is_floating_point() for parameter in parameters)


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give each momentum the memory layout of its parameter. They differ when a run is resumed with another ``channels_last``.

    The fused kernel reads both in memory order, and would mix up their numbers.
    """
    for parameter, state in optimizer.state.items():
        momentum = state.get("momentum_buffer")
        if momentum is not None and momentum.stride() != parameter.stride():
            state["momentum_buffer"] = torch.empty_like(parameter).copy_(momentum).detach()
