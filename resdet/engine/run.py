"""A whole training run in its folder: begun or resumed, logged, evaluated, saved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from resdet.engine.checkpoint import Checkpointer, Stateful
from resdet.engine.checkpoint_hooks import CheckpointHook, EvalHook, last_evaluation, note_evaluation
from resdet.engine.hooks import AverageHook, Hook, LogHook, ScheduleHook
from resdet.engine.logging import JsonLog, TensorBoardLog, drop_lines_after
from resdet.engine.lr_schedule import LearningRate
from resdet.engine.precision import Precision
from resdet.engine.progress import make_display
from resdet.engine.run_folder import RunFolder
from resdet.engine.train_loop import BatchT, train
from resdet.errors import ConfigError

_log = logging.getLogger(__name__)


def run_training(
    run: RunFolder,
    model: nn.Module,
    step: Callable[[BatchT], Mapping[str, Tensor]],
    optimizer: torch.optim.Optimizer,
    schedule: LearningRate,
    batches: Callable[[int], Iterator[BatchT]],
    *,
    evaluate: Callable[[], dict[str, Any]] | None,
    score: Callable[[dict[str, Any]], float],
    save_model: Callable[[Path], None],
    data: dict[str, Any],
    iterations: int,
    seed: int,
    device: torch.device,
    log_every: int,
    checkpoint_every: int,
    eval_every: int,
    clip_norm: float = 0.0,
    accumulate: int = 1,
    precision: Precision | None = None,
    average: AveragedModel | None = None,
    machine: Mapping[str, str] | None = None,
) -> None:
    """Train from where the run folder is to ``iterations``; ``train`` and the hooks say what the parts are.

    Args:
        run: of ``open_run``; its state, when there is one, is loaded into ``model`` and ``optimizer``.
        model: on ``device``.
        step: see ``train``.
        optimizer: of the model.
        schedule: its state is kept with the rest.
        batches: the number of steps already taken to the batches that follow.
        evaluate: see ``EvalHook``; None: there is nothing to evaluate on, and no best model.
        score: see ``EvalHook``.
        save_model: writes the model to a path, atomically.
        data: what the model is trained on, plain values: its class names, how many images; a resumed run must have the same.
        iterations: steps of the whole run.
        seed: seed of the run.
        device: where the model is.
        log_every: iterations between log lines.
        checkpoint_every: iterations between checkpoints.
        eval_every: iterations between evaluations; 0: only at the end.
        clip_norm: see ``train``.
        accumulate: see ``train``.
        precision: see ``train``.
        average: of ``model``; brought up to date after every step, and put into evaluation mode for evaluations in its place.
        machine: what else the last bits depend on; where it is another one when the run is resumed, that is said.

    Raises:
        ConfigError, DataError: when the state is of another model or other data, or damaged.
        TrainingError, Interrupted: see ``train``.
    """
    precision = precision or Precision("fp32", device)
    parts: dict[str, Stateful] = {"precision": precision} | ({"average": average} if average else {})
    checkpoint = Checkpointer(run.state, model, optimizer, parts)
    start = checkpoint.load()
    before = checkpoint.extra.setdefault("data", data)
    if before != data:
        changed = [key for key in data if before.get(key) != data[key]]
        raise ConfigError(
            [f"{run.state}: trained on {key} {before.get(key)!r}, the data has {data[key]!r} now" for key in changed]
        )
    for name, was in checkpoint.extra.get("machine", {}).items():
        now = (machine or {}).get(name)
        if was != now:
            what = f"{name} {was!r} before, {now!r} now"
            _log.warning("%s: not the same to the last bit as if it had gone on as it began: %s", run.folder, what)
    checkpoint.extra["machine"] = dict(machine or {})
    score_at_start = drop_lines_after(run.log, start)
    writers = (JsonLog(run.log), TensorBoardLog(run.folder, start))
    display = make_display()
    schedule.restore(checkpoint.extra.get("schedule", {}))
    checkpoint.extra["schedule"] = schedule.state  # the living dicts: saved as they are then
    if score_at_start is not None and last_evaluation(checkpoint) < start:
        # evaluated after the state was saved, and logged: not to be done once more
        note_evaluation(checkpoint, start, score_at_start)
        schedule.after_evaluation(score_at_start)
    observer = ScheduleHook(schedule)
    hooks: list[Hook] = [LogHook(writers, display, every=log_every, device=device, notes=checkpoint.extra), observer]
    if average is not None:
        hooks.append(AverageHook(average, model))
    if evaluate is not None:
        hooks.append(
            EvalHook(
                model if average is None else average.module,
                evaluate,
                score,
                every=eval_every,
                best=run.best,
                save_model=save_model,
                checkpoint=checkpoint,
                writers=(*writers, display, observer),
            )
        )
    hooks.append(CheckpointHook(checkpoint, save_model, run.model, every=checkpoint_every))
    train(
        model,
        step,
        optimizer,
        schedule,
        batches(start),
        start=start,
        iterations=iterations,
        seed=seed,
        device=device,
        hooks=hooks,
        clip_norm=clip_norm,
        accumulate=accumulate,
        precision=precision,
    )
