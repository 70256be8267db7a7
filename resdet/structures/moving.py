"""Moves tensors from the processor's memory to a device."""

from __future__ import annotations

import torch
from torch import Tensor


def moved(x: Tensor, device: object) -> Tensor:
    """``x`` on ``device`` (None: unchanged). On CUDA this does not wait for the copy, because later work waits for it."""
    if device is None:
        return x
    place = torch.device(device)  # type: ignore[call-overload]
    if place.type != "cuda" or x.is_cuda:
        return x.to(place)
    return (x if x.is_pinned() else x.pin_memory()).to(place, non_blocking=True)  # of other memory the copy is waited for
