"""Draws the candidates that enter a loss."""

from __future__ import annotations

import torch
from torch import Tensor

from resdet.models.detection.matcher import NEGATIVE


def sample(matches: Tensor, *, batch: int, positive_fraction: float) -> tuple[Tensor, Tensor]:
    """Draw at random up to ``batch`` candidates, at most ``positive_fraction`` of the batch positive.

    Negatives fill what positives leave, so that a batch without objects is all negatives (Faster R-CNN, section 3.1.3).
    Randomness is torch's global generator of the device.

    Args:
        matches: int64 (A,), as ``match`` returns them.
        batch: candidates to draw.
        positive_fraction: in [0, 1].

    Returns:
        Sorted indices (P,) of positives and (M,) of negatives into ``matches``.
    """
    positive = (matches >= 0).nonzero()[:, 0]
    negative = (matches == NEGATIVE).nonzero()[:, 0]
    positives = min(len(positive), int(batch * positive_fraction))
    negatives = min(len(negative), batch - positives)
    positive = positive[torch.randperm(len(positive), device=matches.device)[:positives]]
    negative = negative[torch.randperm(len(negative), device=matches.device)[:negatives]]
    return positive.sort().values, negative.sort().values
