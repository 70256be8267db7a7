"""Where 16 bits end: scores, boxes and losses are computed in float32, whatever the convolutions ran in."""

from __future__ import annotations

from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32 when it has fewer bits; itself when it is float32 or float64."""
    return x if x.dtype.itemsize >= 4 else x.float()
