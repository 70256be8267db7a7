"""Number formats: convolutions may use 16 bits, but scores, boxes and losses are computed in float32."""

from __future__ import annotations

import torch
from torch import Tensor

from resdet.errors import ConfigError

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def number_format(name: str, device: torch.device) -> torch.dtype:
    """The torch dtype of ``"fp32"``, ``"bf16"`` or ``"fp16"``; a ConfigError for another name, or a GPU without it."""
    if name not in _PRECISIONS:
        raise ConfigError(f"'precision' must be one of {', '.join(_PRECISIONS)}, got {name!r}")
    if name == "bf16" and device.type == "cuda":
        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                raise ConfigError(f"'precision' bf16: {torch.cuda.get_device_name(device)} has no bfloat16; fp16 will do")
    if name != "fp32" and device.type == "mps":
        try:
            torch.zeros(1, dtype=_PRECISIONS[name], device=device)
        except (TypeError, RuntimeError) as error:  # bfloat16 before macOS 14
            reason = str(error).partition("\n")[0][:100]
            raise ConfigError(f"'precision' {name}: mps has no such numbers here ({reason}); fp32 will do") from error
    return _PRECISIONS[name]


def in_float64(x: Tensor) -> Tensor:
    """``x`` in float64 on its own device, or on the CPU when that is an Apple GPU (mps), which has no float64."""
    return x.cpu().double() if x.device.type == "mps" else x.double()


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32 when it has fewer bits, else ``x`` itself."""
    return x if x.dtype.itemsize >= 4 else x.float()
