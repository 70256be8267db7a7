"""Hooks around the steps of training: logs, the learning rate, the moving average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from resdet.engine.logging import LogWriter
from resdet.engine.lr_schedule import LearningRate
from resdet.engine.progress import ProgressDisplay
from resdet.engine.run import Hook, Progress, Run
from resdet.system import peak_memory


class LogHook(Hook):
    """Writes a line every ``every`` iterations, with losses and times averaged over the iterations since the last line.

    Keys: ``iteration``, ``lr``, ``loss`` and each loss, ``time`` and ``data_time`` (seconds an iteration), ``eta`` (seconds of
    steps left), ``memory`` (peak, MB: of the GPU's tensors, or of this process on the CPU).

    Args:
        writers: receive every line; closed with the hook.
        display: shows the line and each step; closed with the hook.
        every: iterations between lines.
        device: the device of the model.
        notes: holds the unfinished window; the checkpoint keeps it, so that a resumed run writes the lines of an unbroken one.
        hooks: told of every line, after the writers.
    """

    def __init__(
        self,
        writers: Sequence[LogWriter],
        display: ProgressDisplay,
        *,
        every: int,
        device: torch.device,
        notes: dict[str, Any],
        hooks: Sequence[Hook] = (),
    ) -> None:
        self.writers = writers
        self.hooks = hooks
        self.display = display
        self.every = every
        self.device = device
        self._window: dict[str, list[float]] = notes.setdefault("log_window", {})
        self._times: list[tuple[float, float]] = []  # not in the checkpoint, because a resumed run may be faster or slower

    def before_train(self, progress: Progress) -> None:
        """Begin the display."""
        self.display.start(progress.iteration, progress.iterations)

    def after_step(self, run: Run) -> None:
        """Collect, show, and write when it is time."""
        for name, value in run.losses.items():
            self._window.setdefault(name, []).append(value)
        self._times.append((run.step_time, run.data_time))
        self.display.step(run.iteration, run.losses["loss"])
        if run.due(self.every):
            record = self._record(run)
            for writer in (*self.writers, self.display):
                writer.write(record)
            for hook in self.hooks:
                hook.after_log(run, record)
            self._window.clear()
            self._times.clear()

    def close(self) -> None:
        """Close the display and the writers."""
        for writer in (self.display, *self.writers):
            writer.close()

    def _record(self, progress: Progress) -> dict[str, Any]:
        step_time, data_time = (math.fsum(times) / len(times) for times in zip(*self._times, strict=True))
        return {
            "iteration": progress.iteration,
            "lr": progress.lr,
            **{name: math.fsum(values) / len(values) for name, values in self._window.items()},
            "time": step_time,
            "data_time": data_time,
            "eta": step_time * (progress.iterations - progress.iteration),
            "memory": _peak_memory(self.device),
        }


class ScheduleHook(Hook):
    """Passes the measurements of each step and each evaluation to the schedule.

    Args:
        schedule: the learning rate.
    """

    def __init__(self, schedule: LearningRate) -> None:
        self.schedule = schedule

    def after_step(self, progress: Progress) -> None:
        """Pass on the values of the step."""
        self.schedule.after_step(progress.losses)

    def after_evaluation(self, progress: Progress) -> None:
        """Pass on the score of the evaluation."""
        self.schedule.after_evaluation(progress.score)


class AverageHook(Hook):
    """Adds the weights after every step to a moving average.

    Args:
        average: the result of ``moving_average``.
        model: the network in training.
    """

    def __init__(self, average: AveragedModel, model: nn.Module) -> None:
        self.average = average
        self.model = model

    def after_step(self, progress: Progress) -> None:  # noqa: ARG002 - every step counts the same
        """Add the weights to the average."""
        self.average.update_parameters(self.model)


def _peak_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / 2**20  # torch keeps memory that it once took, so this is the peak
    return peak_memory() / 2**20
