"""The loss of a classifier."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross-entropy, mean over the images.

    Args:
        logits: float (N, K), N >= 1; computed in float32 at least, whatever their dtype.
        labels: int64 (N,), 0 … K-1.

    Returns:
        A scalar in nats.
    """
    return F.cross_entropy(logits if logits.dtype.itemsize >= 4 else logits.float(), labels)
