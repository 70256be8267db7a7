"""A training run: the object that the loop drives and that hooks read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.lr_schedule import LearningRate
from resdet.engine.precision import Precision
from resdet.engine.run_folder import RunFolder
from resdet.engine.task import Batch, Results, Task
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.check import RunFile


@dataclass
class Progress:
    """The progress of training.

    Attributes:
        iteration: the number of steps taken.
        iterations: steps of the whole run; a hook that sets it to ``iteration`` ends the run after this step.
        lr: learning rate of the last step.
        losses: the losses of the last step, with their sum as "loss"; other measurements of the step have other names.
        data_time: seconds that the last step waited for its batch.
        step_time: seconds of the last step, ``data_time`` included.
        stopping: whether a signal asked training to stop; hooks then leave out work that can wait for the resumed run.
        metrics: the metrics of the last evaluation, as in ``metrics.json``; {} before the first.
        score: the score of the last evaluation, higher is better; NaN before the first.
    """

    iteration: int
    iterations: int
    lr: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    data_time: float = 0.0
    step_time: float = 0.0
    stopping: bool = False
    metrics: dict[str, Any] = field(default_factory=dict)
    score: float = math.nan

    def due(self, every: int) -> bool:
        """Whether work that is done every ``every`` iterations (0: never) and at the end is due now."""
        return self.iteration == self.iterations or (every > 0 and self.iteration > 0 and self.iteration % every == 0)


class Hook:
    """The training loop calls these methods with the run; your own hook overrides those that it needs."""

    def before_train(self, run: Run) -> None:
        """Before the first step of this process."""

    def after_step(self, run: Run) -> None:
        """After every step."""

    def after_log(self, run: Run, record: dict[str, Any]) -> None:
        """After every log line, on the process that writes it; ``record`` is the line, as in ``log.jsonl``."""

    def after_evaluation(self, run: Run) -> None:
        """After every evaluation; ``run.metrics`` and ``run.score`` hold its numbers."""

    def on_interrupt(self, run: Run) -> None:
        """After the last step before a requested stop, following ``after_step``."""

    def on_failure(self, run: Run) -> str:  # noqa: ARG002 - for those that override it
        """When the loss of the next step is not finite; returns text for the error message, or "" for none."""
        return ""

    def close(self) -> None:
        """When the loop ends, also after an error."""


class Gradients(Protocol):
    """Computes the gradient of a step."""

    def __call__(self, run: Run, batch: Batch, images: float) -> dict[str, float]:
        """Add this process's part of the gradient of a batch of ``images`` to that of the parameters, which have none yet.

        Returns:
            This process's part of the step's values, with the sum of losses as "loss"; the parts of all processes add up to
            them.
        """


@dataclass(kw_only=True)
class Run(Progress):
    """A training run: its task, the parts that train it, and its folder.

    Attributes:
        task: the task, which holds the model, the data and the evaluation.
        network: the network that takes the steps: the task's model, or a faster one with the same parameters.
        optimizer: the optimizer of the model; its learning rate is set before every step.
        schedule: gives the learning rate of an iteration (from 0); its state is kept with the rest.
        files: the run's folder.
        config: the config of the run, with every choice that was made.
        seed: the seed of the run; the random numbers of a step depend on it and the iteration alone.
        device: the device of the model.
        precision: the number format of the forward pass.
        clip_norm: gradients (of all parameters together) longer than this are shortened to it; 0: never.
        accumulate: parts that a batch is computed in, one after the other; the gradient is that of the whole batch, but BN in
            training sees the parts.
        gradients: computes the gradient of a step; None: the batch in its parts, one after the other.
        average: moving average of the model's weights; None: there is none.
        ranks: the processes that train together; all of them call their hooks.
        hooks: called in this order after each step, and closed at the end, whatever ends it.
        results: the metrics and files that were written when training had ended.
        again: the function that ``resume`` calls.
    """

    task: Task[Any, Any]
    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LearningRate
    files: RunFolder
    config: RunFile | None = None
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Precision = field(default_factory=lambda: Precision("fp32", torch.device("cpu")))
    clip_norm: float = 0.0
    accumulate: int = 1
    gradients: Gradients | None = None
    average: AveragedModel | None = None
    ranks: Ranks = ALONE
    hooks: list[Hook] = field(default_factory=list)
    results: Results = field(default_factory=Results)
    again: Callable[..., Run] | None = None

    @property
    def model(self) -> Any:
        """The network that is evaluated and saved: the task's, or the moving average of its weights."""
        return self.task.model if self.average is None else self.average.module

    @property
    def folder(self) -> Path:
        """The run's folder: ``model.safetensors``, ``metrics.json``, ``log.jsonl`` and more."""
        return self.files.folder

    def finish(self) -> None:
        """Do the remaining work when training has ended, see ``Task.finish``."""
        self.results = self.task.finish(self.model, self.folder)
        self.metrics = self.results.metrics

    def resume(self, hooks: Sequence[Hook] = ()) -> Run:
        """Continue from the folder: read the data and the weights again, and return the new run.

        Raises:
            ConfigError: when the run was put together by hand. All errors of training are possible too.
        """
        if self.again is None:
            raise ConfigError(f"{self.folder}: begun from a task, not from a run file: start the task again with resume=True")
        return self.again(hooks=hooks)
