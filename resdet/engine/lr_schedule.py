"""The learning rate as a pure function of the iteration."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class WarmupMultiStep:
    """Steps with a linear warm-up (paper, sections 3.4 and 4; the warm-up is ours).

    ``schedule(i)`` is the rate of the step that follows ``i`` finished ones: ``lr``, multiplied by ``gamma`` for each milestone
    ``<= i``, and while ``i < warmup_iterations`` also by ``warmup_factor + (1 - warmup_factor) * i / warmup_iterations``.

    Args:
        lr: the rate between the warm-up and the first milestone.
        milestones: increasing iterations.
        gamma: factor at a milestone.
        warmup_iterations: length of the warm-up; 0: none.
        warmup_factor: share of ``lr`` at iteration 0, in [0, 1].
    """

    lr: float
    milestones: Sequence[int] = ()
    gamma: float = 0.1
    warmup_iterations: int = 0
    warmup_factor: float = 0.001

    def __call__(self, iteration: int) -> float:
        """The learning rate of step ``iteration``, counted from 0."""
        rate = self.lr * self.gamma ** bisect.bisect_right(self.milestones, iteration)
        if iteration < self.warmup_iterations:
            rate *= self.warmup_factor + (1 - self.warmup_factor) * iteration / self.warmup_iterations
        return rate
