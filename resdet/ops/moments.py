"""Mean and variance of numbers that come in parts, without losing digits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from resdet.ops.precision import in_float64


@dataclass
class Moments:
    """Count, mean (C,) and sum of squared deviations (C,) of what each of C channels has seen, float64 (see ``in_float64``)."""

    count: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, channels: int, device: torch.device | None = None) -> Moments:
        """The moments of no numbers, to begin with."""
        return cls(0, *in_float64(torch.zeros(2, channels, device=device)))

    def add(self, x: Tensor) -> None:
        """Join the positions of ``x`` (N, C, …), by the update of Chan, Golub and LeVeque (1979)."""
        count = x.numel() // x.shape[1]
        others = [axis for axis in range(x.ndim) if axis != 1]
        variance, mean = torch.var_mean(in_float64(x.detach()), dim=others, correction=0)
        total = self.count + count
        delta = mean - self.mean
        self.mean = self.mean + delta * (count / total)
        self.squares = self.squares + variance * count + delta**2 * (self.count * count / total)
        self.count = total

    def deviation(self) -> Tensor:
        """The standard deviation (C,), of all numbers and not as an estimate from a sample."""
        return (self.squares / self.count).sqrt()
