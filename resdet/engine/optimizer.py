"""The optimizer of the paper."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from resdet.errors import ConfigError


def build_sgd(
    model: nn.Module, lr: float, momentum: float, weight_decay: float, *, decay_norm_and_bias: bool = True
) -> torch.optim.SGD:
    """SGD over the parameters of ``model`` that are not frozen (paper, section 3.4).

    Args:
        model: what to train.
        lr: learning rate.
        momentum: in [0, 1].
        weight_decay: L2 penalty, as the paper's on every parameter.
        decay_norm_and_bias: False leaves parameters of one dimension (BN's scale and shift, biases) without the penalty.

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
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay)
