"""The number format of training: float32, or autocast to 16 bits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from resdet.errors import ConfigError
from resdet.ops.precision import number_format


class Precision:
    """Runs the forward pass in a number format; with fp16 the loss is scaled so that small gradients survive.

    Args:
        name: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        device: where the model is.

    Raises:
        ConfigError: an unknown name, bf16 on a GPU that has none, or fp16 on one for which this torch cannot scale losses.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.device = device
        self.dtype = number_format(name, device)
        self._scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")
        if name == "fp16" and device.type == "mps":
            _check_scaling(device)

    def autocast(self) -> torch.autocast:
        """A context in which convolutions and matrix products run in the format."""
        enabled = self.dtype != torch.float32
        # some devices warn of a format that they have no autocast for, even where it is not to be used
        return torch.autocast(self.device.type, self.dtype if enabled else None, enabled=enabled)

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


def _check_scaling(device: torch.device) -> None:
    """What GradScaler does to gradients; torch 2.6 cannot on mps, which would show after the first step's work."""
    one = torch.ones(1, device=device)
    try:
        torch._amp_foreach_non_finite_check_and_unscale_([one], torch.zeros(1, device=device), one)
    except NotImplementedError as error:
        raise ConfigError("'precision' fp16: this torch cannot scale losses on mps; bf16 or fp32 will do") from error
