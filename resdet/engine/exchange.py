"""What the processes of a run add up after the way back, so that all take the step of the whole batch.

Plain sums after the way back, and not torch's DistributedDataParallel: that averages over the processes, wants one call of
``forward`` a step, and knows nothing of the parts of a batch, nor of a training twin, whose parameters are another network's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from resdet.distributed.ranks import Ranks
from resdet.ops.sync_bn import SharedBatchNorm2d


@torch.no_grad()
def add_gradients(ranks: Ranks, model: nn.Module, parameters: Sequence[nn.Parameter], share: float) -> None:
    """Replace the gradients of this process's images by those of all images, and BN's statistics by the mean over processes.

    Args:
        ranks: the processes.
        model: the network that the statistics are of.
        parameters: those that train; one that no process's loss has reached stays without a gradient.
        share: this process's share of the images, its weight in the means.
    """
    if ranks.world == 1:
        return
    reached = ranks.most([int(parameter.grad is not None) for parameter in parameters])
    gradients = []
    for parameter, somewhere in zip(parameters, reached, strict=True):
        if somewhere and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if parameter.grad is not None:
            gradients.append(parameter.grad)
    statistics = _own_statistics(model)
    for each in statistics:
        each.mul_(share)
    ranks.add_([*gradients, *statistics])


def _own_statistics(model: nn.Module) -> list[Tensor]:
    """The running means and variances of BN that sees only the images of this process."""
    return [
        statistics
        for norm in model.modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and not isinstance(norm, (SharedBatchNorm2d, nn.SyncBatchNorm))
        for statistics in (norm.running_mean, norm.running_var)
        if norm.training and statistics is not None
    ]
