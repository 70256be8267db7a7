"""What the tests of hooks share."""

from __future__ import annotations

from typing import Any

from resdet.engine.run import Progress


class Lines:
    """A writer and a display that remember."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.steps: list[tuple[int, float]] = []
        self.closed = 0

    def start(self, iteration: int, iterations: int) -> None:
        pass

    def step(self, iteration: int, loss: float) -> None:
        self.steps.append((iteration, loss))

    def write(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def close(self) -> None:
        self.closed += 1


def at(iteration: int, iterations: int = 10, **others: Any) -> Progress:
    """Progress whose numbers follow from the iteration."""
    return Progress(
        iteration, iterations, 0.1 * iteration, {"loss": 2.0 * iteration, "loss_cls": 1.0 * iteration}, 0.5, 2.0, **others
    )
