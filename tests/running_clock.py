"""A clock that the ways of a product run on, so that no test depends on time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from resdet.ops import kernels
from resdet.ops.kernels import Kernels

QUESTION = "product float32 2×3"
RIGHT = torch.tensor([[1.0, -2.0, 3.0]])


class Clock:
    """Time that passes when a way runs, as long as its cost says; at each run the next cost, and the last one from then on.

    Attributes:
        made: the ways that were made ready, in order.
        runs: how often each one ran.
    """

    def __init__(self, **costs: float | Sequence[float]) -> None:
        self.costs = {way: [cost] if isinstance(cost, (int, float)) else list(cost) for way, cost in costs.items()}
        self.results: dict[str, Tensor] = {}
        self.now = 0.0
        self.made: list[str] = []
        self.runs = dict.fromkeys(costs, 0)

    def __call__(self) -> float:
        return self.now

    def trial(self, way: str) -> Callable[[], Tensor]:
        self.made.append(way)

        def run() -> Tensor:
            costs = self.costs[way]
            self.now += costs[min(self.runs[way], len(costs) - 1)]
            self.runs[way] += 1
            return self.results.get(way, RIGHT)

        return run


def running_clock(monkeypatch: pytest.MonkeyPatch, **costs: float | Sequence[float]) -> Clock:
    """A clock that is the time of ``kernels``."""
    clock = Clock(**costs)
    monkeypatch.setattr(kernels.time, "perf_counter", clock)
    return clock


def ask(kernels_: Kernels, clock: Clock, question: str = QUESTION) -> str:
    """The fastest of the clock's ways."""
    return kernels_.fastest(question, list(clock.costs), clock.trial)
