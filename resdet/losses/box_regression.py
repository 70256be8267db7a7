"""The box loss of Fast R-CNN (equation 3 there): smooth L1 on encoded deltas."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from resdet.ops.precision import at_least_float32


def box_regression_loss(deltas: Tensor, target_deltas: Tensor, *, beta: float, normalizer: float) -> Tensor:
    """Sum of smooth L1 over all coordinates, divided by ``normalizer``.

    Args:
        deltas: float (P, 4), predictions for the P positive candidates; P may be 0, the loss is then a connected 0.
        target_deltas: float (P, 4).
        beta: the size at which the loss turns from squared to absolute, in units of deltas; 0 gives plain L1.
        normalizer: the number of sampled candidates, positives and negatives together; 0 counts as 1.
    """
    total = F.smooth_l1_loss(at_least_float32(deltas), at_least_float32(target_deltas), beta=beta, reduction="sum")
    return total / (normalizer or 1)
