"""BN whose batch is that of all processes together.

Legend: N images of this process, C channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from resdet.distributed.ranks import Ranks


class SharedBatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` that in training takes mean and variance over the images of all processes.

    Args:
        norm: the one that it takes the place of; parameters and statistics are the same tensors.
        ranks: the processes.
    """

    def __init__(self, norm: nn.BatchNorm2d, ranks: Ranks) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.__dict__.update(norm.__dict__)  # the same tensors, mode and hooks
        self.ranks = ranks

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, C, H, W), normalized."""
        if not self.training:
            return super().forward(x)
        channel = (slice(None), None, None)
        count = x.new_full((1,), x.numel() // x.shape[1])
        *_, total = sums = _Sum.apply(torch.cat([x.sum((0, 2, 3)), count]), self.ranks)
        centred = x - (sums[:-1] / total)[channel]
        squares = _Sum.apply(centred.square().sum((0, 2, 3)), self.ranks)
        self._track(sums[:-1].detach() / total, squares.detach() / (total - 1))
        normalized = centred * torch.rsqrt(squares / total + self.eps)[channel]
        return normalized * self.weight[channel] + self.bias[channel] if self.affine else normalized

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        factor = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), factor)
        self.running_var.lerp_(variance.to(self.running_var), factor)


def share_batch_norms(model: nn.Module, ranks: Ranks) -> None:
    """Let every ``nn.BatchNorm2d`` of a network see the images of all processes: torch's ``SyncBatchNorm`` on GPUs."""
    for parent in list(model.modules()):
        for name, norm in list(parent.named_children()):
            if type(norm) is nn.BatchNorm2d:
                gpu = norm.running_mean is not None and norm.running_mean.is_cuda
                shared = nn.SyncBatchNorm.convert_sync_batchnorm(norm) if gpu else SharedBatchNorm2d(norm, ranks)
                setattr(parent, name, shared)


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient, for each process' part moves the losses of all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        summed = x.clone()
        ranks.add_([summed])
        return summed

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        summed = grad.clone()
        ctx.ranks.add_([summed])
        return summed, None
