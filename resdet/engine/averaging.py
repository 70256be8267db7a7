"""A moving average of the weights (Polyak averaging), which often scores better than the last weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """An average of the weights and buffers of ``model``, kept in ``.module``; ``update_parameters(model)`` adds new values.

    After t updates the decay is ``min(decay, (1 + t) / (10 + t))``, so that the random start is soon forgotten.

    Args:
        model: the network in training; it is copied at once.
        decay: the share of the old average in each update, in [0, 1).
    """

    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], updates: Tensor | int) -> None:
        keep = min(decay, (1 + int(updates)) / (10 + int(updates)))
        for mean, now in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)  # counters are copied, not averaged

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
