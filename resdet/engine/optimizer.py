"""The optimizer of the paper."""

from __future__ import annotations

import torch
from torch import nn

from resdet.errors import ConfigError


def build_sgd(model: nn.Module, lr: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """SGD over the parameters of ``model`` that are not frozen (paper, section 3.4).

    The weight decay is the same for all of them, BN's and biases included.

    Raises:
        ConfigError: when every parameter is frozen.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ConfigError(f"nothing to train: every parameter of {type(model).__name__} is frozen")
    return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
