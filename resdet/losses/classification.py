"""The loss of a classifier."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from resdet.ops.precision import at_least_float32


def cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Softmax cross-entropy, mean over the images.

    Args:
        logits: float (N, K), N >= 1; the loss is computed in float32 at least, for any dtype.
        targets: labels, int64 (N,), 0 … K-1; or distributions, float (N, K).
        label_smoothing: this share of every target is spread evenly over the K classes (Szegedy et al., 2016).

    Returns:
        A scalar in nats.
    """
    return F.cross_entropy(at_least_float32(logits), targets, label_smoothing=label_smoothing)
