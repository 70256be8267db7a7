"""From the processor's memory to a device."""

from __future__ import annotations

import torch
from torch import Tensor


def moved(x: Tensor, device: object) -> Tensor:
    """``x`` on ``device`` (None: where it is), without waiting for the copy where later work does: on CUDA."""
    if device is None:
        return x
    place = torch.device(device)  # type: ignore[call-overload]
    return x.to(place, non_blocking=place.type == "cuda")
