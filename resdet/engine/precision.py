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
        device: the device of the model.

    Raises:
        ConfigError: an unknown name, bf16 on a GPU without it, or fp16 on a GPU on which this torch cannot scale losses.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.device = device
        self.dtype = number_format(name, device)
        self._scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")
        if name == "fp16" and device.type == "mps":
            _check_scaling(device)

    def autocast(self, *, cached: bool = True) -> torch.autocast:
        """A context in which convolutions and matrix products run in the format; ``cached``: each parameter is cast once."""
        enabled = self.dtype != torch.float32
        # some devices warn about a format without autocast, even when it is not used
        return torch.autocast(self.device.type, self.dtype if enabled else None, enabled=enabled, cache_enabled=cached)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of ``loss``, a scalar, scaled for fp16."""
        self._scaler.scale(loss).backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Undo the scaling of the gradients, for code that reads them before ``step``."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the optimizer's step. With fp16 the step is left out when a gradient overflowed, and the scale is lowered."""
        self._scaler.step(optimizer)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The scale and its history; {} without scaling."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of ``state_dict``."""
        if state:
            self._scaler.load_state_dict(state)


def _check_scaling(device: torch.device) -> None:
    """Try what GradScaler does to gradients now. Torch 2.6 cannot do it on mps, and would fail only after the first step."""
    one = torch.ones(1, device=device)
    try:
        torch._amp_foreach_non_finite_check_and_unscale_([one], torch.zeros(1, device=device), one)
    except NotImplementedError as error:
        raise ConfigError("'precision' fp16: this torch cannot scale losses on mps; bf16 or fp32 will do") from error
