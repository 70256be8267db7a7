"""Connects a run to its folder: restores it when it is resumed, and logs, evaluates and saves it while it trains."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

import torch

from resdet.data.marks import changes, image_marks
from resdet.distributed.ranks import Ranks
from resdet.engine.best import metric_score
from resdet.engine.checkpoint import Checkpointer, Stateful
from resdet.engine.checkpoint_hooks import CheckpointHook, EvalHook, last_evaluation, note_evaluation
from resdet.engine.early_stopping import EarlyStopping
from resdet.engine.hooks import AverageHook, LogHook, ScheduleHook
from resdet.engine.logging import JsonLog, LogWriter, drop_lines_after
from resdet.engine.progress import make_display
from resdet.engine.run import Run
from resdet.engine.task import Task
from resdet.errors import ConfigError

_log = logging.getLogger(__name__)


def keep(
    run: Run,
    *,
    log_every: int,
    checkpoint_every: int,
    eval_every: int,
    machine: Mapping[str, str],
    best: str = "",
    early_stopping: int = 0,
    accept_data: bool = False,
) -> None:
    """Load the state in a run's folder, and add the hooks that log, evaluate and save the run.

    The run's own hooks come after the log and before evaluation and checkpoint. Of several processes all load the
    state, and the first one logs and saves.

    Args:
        run: the run; the state in its folder is loaded into it when there is one.
        log_every: iterations between log lines.
        checkpoint_every: iterations between checkpoints.
        eval_every: iterations between evaluations; 0: only at the end.
        machine: other facts that the last bits of the weights depend on; a resumed run reports when they have changed.
        best: the number of ``metrics.json`` that scores an evaluation, see ``metric_score``; "": the task's own.
        early_stopping: evaluations without a gain that end the run; 0: it is not ended.
        accept_data: go on with training images other than those that the run began with.

    Raises:
        ConfigError, DataError: when the state belongs to another model or other data, is of a later iteration than the run's
            last, is damaged, or is gone while its model is there; when there is nothing to evaluate for ``early_stopping``;
            when processes begin with different states.
    """
    task, files, ranks = run.task, run.files, run.ranks
    if early_stopping and not task.evaluates:
        raise ConfigError("option 'run.early_stopping' needs a validation set, 'data.val' has none")
    files.refuse_lost_state()
    parts: dict[str, Stateful] = {"precision": run.precision} | ({"average": run.average} if run.average else {})
    checkpoint = Checkpointer(files.state, task.model, run.optimizer, parts, writes=ranks.first)
    run.iteration = checkpoint.load()
    _check_same(checkpoint, ranks)
    _check_data(checkpoint, task, ranks, accept=accept_data)
    if files.changes and run.iteration > run.iterations:
        raise ConfigError(f"{files.state}: {run.iteration} steps are taken already, the schedule has {run.iterations} now")
    if ranks.first:
        files.take_changes()
        _note_machine(checkpoint, machine, run)
    score_at_start = ranks.once(lambda: drop_lines_after(files.log, run.iteration))
    run.schedule.restore(checkpoint.extra.get("schedule", {}))
    checkpoint.extra["schedule"] = run.schedule.state  # not a copy: saves current values
    if checkpoint.extra.get("best_by", "") != best:  # scores of another number are no measure
        checkpoint.extra.update(best_by=best)
        for name in ("best_score", "early_stopping"):
            checkpoint.extra.pop(name, None)
        score_at_start = None
    stopping = EarlyStopping(early_stopping, checkpoint.extra) if early_stopping else None
    if score_at_start is not None and last_evaluation(checkpoint) < run.iteration:
        # this evaluation came after the state was saved, but it is in the log: do not repeat it
        note_evaluation(checkpoint, run.iteration, score_at_start)
        run.schedule.after_evaluation(score_at_start)
        if stopping:
            stopping.note(score_at_start)

    own, writers = run.hooks, _writers(run) if ranks.first else ()
    run.hooks = [ScheduleHook(run.schedule)]
    if ranks.first:
        display = make_display()
        log = LogHook(writers, display, every=log_every, device=run.device, notes=checkpoint.extra, hooks=run.hooks)
        run.hooks.insert(0, log)
        writers = (*writers, display)
    if run.average is not None:
        run.hooks.append(AverageHook(run.average, task.model))
    run.hooks += [*own, stopping] if stopping else own
    if task.evaluates:
        run.hooks.append(
            EvalHook(
                run.model,
                lambda: task.evaluate(run.model),
                functools.partial(metric_score, name=best) if best else task.score,
                every=eval_every,
                best=files.best,
                save_model=lambda path: task.save(run.model, path) if ranks.first else None,
                checkpoint=checkpoint,
                writers=writers,
                hooks=run.hooks,
            )
        )
    if ranks.first:
        save = CheckpointHook(checkpoint, lambda path: task.save(run.model, path), files.model, every=checkpoint_every)
        run.hooks.append(save)


def _writers(run: Run) -> tuple[LogWriter, ...]:
    """The log in the folder, with a line of what has been changed."""
    lines = JsonLog(run.files.log)
    if run.files.changes:
        lines.write({"iteration": run.iteration, "change": {name: list(pair) for name, pair in run.files.changes.items()}})
        _tell_changes(run)
    return (lines,)


def _check_same(checkpoint: Checkpointer, ranks: Ranks) -> None:
    """Raise a ConfigError unless all processes begin with the same numbers."""
    if ranks.world == 1:
        return
    digests = ranks.everyones(checkpoint.digest())
    others = [str(rank) for rank, digest in enumerate(digests) if digest != digests[0]]
    if others:
        raise ConfigError(
            f"{checkpoint.path}: rank {', '.join(others)} begins with other weights than rank 0: all processes must see the "
            "same run folder and the same weights"
        )


def _check_data(checkpoint: Checkpointer, task: Task[Any, Any], ranks: Ranks, *, accept: bool) -> None:
    """Compare the data with those that the run began with, and note them.

    Raises:
        ConfigError: with every difference, unless the run shall ``accept`` them; then they are logged.
    """
    before = checkpoint.extra.get("data", {})
    found = [
        f"trained on {key} {before[key]!r}, the data has {now!r} now"
        for key, now in task.data.items()
        if _other(before, key, now)
    ]
    images = task.images_in_use()
    if images is not None:
        marks = ranks.once(lambda: image_marks(images))
        if "marks" in checkpoint.extra:  # a state of an earlier release has none
            found += changes(checkpoint.extra["marks"].numpy(), marks, images.path)
        checkpoint.extra["marks"] = torch.from_numpy(marks)
    if found and not accept:
        raise ConfigError(
            [
                *(f"{checkpoint.path}: {line}" for line in found),
                "with --accept-data-change the run goes on with the data as they are now",
            ]
        )
    for line in found:
        _log.warning("%s: %s", checkpoint.path, line)
    checkpoint.extra["data"] = dict(task.data)


def _other(before: Mapping[str, Any], key: str, now: Any) -> bool:
    return key in before and before[key] != now


def _tell_changes(run: Run) -> None:
    for name, (old, new) in run.files.changes.items():
        _log.info("%s: from iteration %d on %s is %r, it was %r", run.folder, run.iteration, name, new, old)
    _log.info("%s: from here on this is not, bit for bit, the run that either config describes", run.folder)


def _note_machine(checkpoint: Checkpointer, machine: Mapping[str, str], run: Run) -> None:
    """Report what has changed since the run began, and note the current values."""
    for name, was in checkpoint.extra.get("machine", {}).items():
        now = machine.get(name)
        if was != now:
            what = f"{name} {was!r} before, {now!r} now"
            _log.warning("%s: not the same to the last bit as if it had gone on as it began: %s", run.folder, what)
    checkpoint.extra["machine"] = dict(machine)
