"""Memory to work in."""

from __future__ import annotations

import torch
from torch import Tensor


class Room:
    """Memory that every chunk works in: to get it anew costs as much as to fill it.

    Args:
        like: dtype and device.
    """

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.parts: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        """Room for a tensor; what it held under this name is lost."""
        size = torch.Size(shape).numel()
        if name not in self.parts or self.parts[name].numel() < size:
            self.parts[name] = self.like.new_empty(size)
        return self.parts[name][:size].view(shape)
