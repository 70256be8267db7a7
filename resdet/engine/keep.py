"""Connects a run to its folder: restores it when it is resumed, and logs, evaluates and saves it while it trains."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from resdet.engine.checkpoint import Checkpointer, Stateful
from resdet.engine.checkpoint_hooks import CheckpointHook, EvalHook, last_evaluation, note_evaluation
from resdet.engine.hooks import AverageHook, LogHook, ScheduleHook
from resdet.engine.logging import JsonLog, TensorBoardLog, drop_lines_after
from resdet.engine.progress import make_display
from resdet.engine.run import Run
from resdet.errors import ConfigError

_log = logging.getLogger(__name__)


def keep(run: Run, *, log_every: int, checkpoint_every: int, eval_every: int, machine: Mapping[str, str]) -> None:
    """Load the state in a run's folder, and add the hooks that log, evaluate and save the run.

    The run's own hooks come after the log and before evaluation and checkpoint.

    Args:
        run: the run; the state in its folder is loaded into it when there is one.
        log_every: iterations between log lines.
        checkpoint_every: iterations between checkpoints.
        eval_every: iterations between evaluations; 0: only at the end.
        machine: other facts that the last bits of the weights depend on; a resumed run reports when they have changed.

    Raises:
        ConfigError, DataError: when the state belongs to another model or other data, or is damaged.
    """
    task, files = run.task, run.files
    parts: dict[str, Stateful] = {"precision": run.precision} | ({"average": run.average} if run.average else {})
    checkpoint = Checkpointer(files.state, task.model, run.optimizer, parts)
    run.iteration = checkpoint.load()
    _check_data(checkpoint, task.data)
    _note_machine(checkpoint, machine, run)
    score_at_start = drop_lines_after(files.log, run.iteration)
    run.schedule.restore(checkpoint.extra.get("schedule", {}))
    checkpoint.extra["schedule"] = run.schedule.state  # not a copy: saves current values
    if score_at_start is not None and last_evaluation(checkpoint) < run.iteration:
        # this evaluation came after the state was saved, but it is in the log: do not repeat it
        note_evaluation(checkpoint, run.iteration, score_at_start)
        run.schedule.after_evaluation(score_at_start)

    writers = (JsonLog(files.log), TensorBoardLog(files.folder, run.iteration))
    display, own = make_display(), run.hooks
    log = LogHook(writers, display, every=log_every, device=run.device, notes=checkpoint.extra)
    run.hooks = [log, ScheduleHook(run.schedule)]
    if run.average is not None:
        run.hooks.append(AverageHook(run.average, task.model))
    run.hooks += own
    if task.evaluates:
        run.hooks.append(
            EvalHook(
                run.model,
                lambda: task.evaluate(run.model),
                task.score,
                every=eval_every,
                best=files.best,
                save_model=lambda path: task.save(run.model, path),
                checkpoint=checkpoint,
                writers=(*writers, display),
                hooks=run.hooks,
            )
        )
    run.hooks.append(CheckpointHook(checkpoint, lambda path: task.save(run.model, path), files.model, every=checkpoint_every))


def _check_data(checkpoint: Checkpointer, data: Mapping[str, Any]) -> None:
    """Raise a ConfigError that names every difference between the data of the run before and now."""
    before = checkpoint.extra.setdefault("data", dict(data))
    changed = [key for key in data if before.get(key) != data[key]]
    if changed:
        raise ConfigError(
            [f"{checkpoint.path}: trained on {key} {before.get(key)!r}, the data has {data[key]!r} now" for key in changed]
        )


def _note_machine(checkpoint: Checkpointer, machine: Mapping[str, str], run: Run) -> None:
    """Report what has changed since the run began, and note the current values."""
    for name, was in checkpoint.extra.get("machine", {}).items():
        now = machine.get(name)
        if was != now:
            what = f"{name} {was!r} before, {now!r} now"
            _log.warning("%s: not the same to the last bit as if it had gone on as it began: %s", run.folder, what)
    checkpoint.extra["machine"] = dict(machine)
