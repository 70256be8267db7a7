"""Batch normalization with constant statistics: an affine map of each channel (paper, appendix A)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class FrozenBatchNorm2d(nn.Module):
    """``y = (x - running_mean) / sqrt(running_var + eps) * weight + bias``, all four constant.

    Its buffers carry the names of ``nn.BatchNorm2d``'s tensors, so a state dict of one fits the other; a
    ``num_batches_tracked`` is dropped on loading. Nothing here is trained, not even in train mode.

    Args:
        channels: C, the channels of the input.
        eps: added to the variance.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize float (N, C, H, W); the result keeps the shape and the dtype."""
        scale, shift = self.affine()
        # addcmul is one pass over x; the casts keep a half precision input in half precision
        return torch.addcmul(shift.to(x.dtype)[:, None, None], x, scale.to(x.dtype)[:, None, None])

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (C,): ``y = scale * x + shift``."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def extra_repr(self) -> str:
        """The channels and eps, for ``print``."""
        return f"{len(self.weight)}, eps={self.eps}"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        state_dict.pop(f"{prefix}num_batches_tracked", None)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def freeze_batch_norm(module: nn.Module) -> nn.Module:
    """Replace every ``nn.BatchNorm2d`` in ``module`` by a ``FrozenBatchNorm2d`` with the same numbers.

    Returns:
        ``module`` itself, changed in place, or its replacement where it is a batch norm.

    Raises:
        ValueError: for a batch norm that keeps no running statistics.
    """
    if isinstance(module, nn.BatchNorm2d):
        return _frozen(module)
    for name, child in module.named_children():
        setattr(module, name, freeze_batch_norm(child))
    return module


def looks_unloaded(module: nn.Module) -> bool:
    """Whether ``module`` has frozen batch norms and every one still has mean 0 and variance 1.

    A network with such statistics was probably never loaded, and hardly trains. The statistics are right only when the true
    ones were folded into ``weight`` and ``bias``.
    """
    frozen = [part for part in module.modules() if isinstance(part, FrozenBatchNorm2d)]
    return bool(frozen) and all(bool((part.running_mean == 0).all() and (part.running_var == 1).all()) for part in frozen)


def _frozen(norm: nn.BatchNorm2d) -> FrozenBatchNorm2d:
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("freeze_batch_norm needs running statistics, got a BatchNorm2d with track_running_stats=False")
    frozen = FrozenBatchNorm2d(norm.num_features, norm.eps).to(norm.running_mean)
    frozen.load_state_dict({**frozen.state_dict(), **norm.state_dict()})
    return frozen.train(norm.training)
