"""A task of a step and batches of one's own, and a run of it that no folder keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resdet.engine.run import Run
from resdet.engine.run_folder import RunFolder
from resdet.engine.task import Task


class PlainTask(Task[Any, Any]):
    """It evaluates nothing."""

    samples, evaluates = 8, False

    def __init__(
        self, model: nn.Module, step: Callable[[Any, Any], dict[str, Tensor]], batches: Callable[[int], Iterator[Any]]
    ) -> None:
        self.model = model
        self.data = {"images": 8}
        self.step = step  # type: ignore[method-assign]
        self.batches = batches  # type: ignore[method-assign]


def plain_run(task: Task[Any, Any], optimizer: torch.optim.Optimizer, rate: Callable[[int], float], **options: Any) -> Run:
    """A run of ``task`` whose learning rate is ``rate`` of the iteration; ``options`` are other parts of it."""
    start, iterations = options.pop("start", 0), options.pop("iterations")
    files = RunFolder(Path("nowhere"), resumed=False)
    schedule: Any = rate
    return Run(start, iterations, task=task, network=task.model, optimizer=optimizer, schedule=schedule, files=files, **options)
