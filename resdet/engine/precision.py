"""The number format of training: float32, or autocast to 16 bits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from resdet.ops.precision import number_format


class Precision:
    """Runs the forward pass in a number format; with fp16 the loss is scaled so that small gradients survive.

    Args:
        name: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        device: where the model is.

    Raises:
        ConfigError: an unknown name, or bf16 on a GPU that has none.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.device = device
        self.dtype = number_format(name, device)
        self._scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")

    def autocast(self) -> torch.autocast:
        """A context in which convolutions and matrix products run in the format."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of ``loss``, a scalar, scaled for fp16."""
        self._scaler.scale(loss).backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Bring the gradients back to their own size, for whoever looks at them before ``step``."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the optimizer's step; fp16 leaves it out when a gradient overflowed, and scales less from then on."""
        self._scaler.step(optimizer)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The scale and its history; {} without scaling."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` gave."""
        if state:
            self._scaler.load_state_dict(state)
