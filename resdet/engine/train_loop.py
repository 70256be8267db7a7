"""The training loop. Everything that is not a step (logs, evaluations, checkpoints) is a hook."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from resdet.distributed.ranks import Ranks
from resdet.engine.exchange import add_gradients
from resdet.engine.gradients import gradients
from resdet.engine.optimizer import parameters_of
from resdet.engine.run import Run
from resdet.engine.seed import step_seed
from resdet.engine.signals import StopSignals
from resdet.engine.task import BatchT
from resdet.errors import DataError, ResdetError, TrainingError


class Interrupted(ResdetError):  # noqa: N818 - like KeyboardInterrupt, not a failure
    """Training was stopped by a signal, after a checkpoint."""

    exit_status = 130


def train(run: Run) -> None:
    """Take the steps of a run from ``run.iteration`` to ``run.iterations``.

    The processes of ``run.ranks`` take each step together: the gradient is that of the images of all of them.

    Raises:
        TrainingError: at a loss that is not finite (before it reaches the weights), or when the batches end too early.
        Interrupted: after SIGINT or SIGTERM in any process, when the step is finished and the hooks have saved.
        KeyboardInterrupt: at a second SIGINT, at once.
        PeerError: another process has failed.
    """
    parameters = parameters_of(run.optimizer)
    batches = run.task.batches(run.iteration)
    for network in (run.task.model, run.network):
        network.train()
    with contextlib.ExitStack() as stack:
        for hook in run.hooks:
            stack.callback(hook.close)
        stop = stack.enter_context(StopSignals(quiet=not run.ranks.first))
        for hook in run.hooks:
            hook.before_train(run)
        _stop_if_asked(stop, run)
        while run.iteration < run.iterations:
            began = time.perf_counter()
            run.ranks.doing(f"iteration {run.iteration + 1}")
            batch = _next(batches, run).to(run.device)
            fetched = time.perf_counter()
            learning_rate = run.schedule(run.iteration)
            for group in run.optimizer.param_groups:
                group["lr"] = learning_rate
            torch.manual_seed(step_seed(run.seed, run.iteration))
            run.optimizer.zero_grad()
            (images,) = run.ranks.sum([len(batch)])
            own = (run.gradients or gradients)(run, batch, images)
            values, run.stopping = _agreed(run.ranks, own, bool(stop.received))
            if not _finite(values):
                run.ranks.doing("")  # the message says it itself
                raise TrainingError(_failure(run, values, learning_rate, "" if _finite(own) else ", ".join(batch.names)))
            add_gradients(run.ranks, run.task.model, parameters, len(batch) / images)
            if run.clip_norm:
                run.precision.unscale(run.optimizer)
                nn.utils.clip_grad_norm_(parameters, run.clip_norm)
            run.precision.step(run.optimizer)
            run.iteration, run.lr, run.losses = run.iteration + 1, learning_rate, values
            run.data_time, run.step_time = fetched - began, time.perf_counter() - began
            for hook in run.hooks:
                hook.after_step(run)
            _stop_if_asked(stop, run)
    run.ranks.doing("")


def _agreed(ranks: Ranks, own: Mapping[str, float], asked: bool) -> tuple[dict[str, float], bool]:
    """The values of the step, of all processes' parts, and whether any of them was asked to stop."""
    *values, asks = ranks.sum([*own.values(), float(asked)])
    return dict(zip(own, values, strict=True)), asks > 0


def _next(batches: Iterator[BatchT], run: Run) -> BatchT:
    """The next batch; where an image cannot be read any more, the steps before it are saved first."""
    try:
        return next(batches)
    except StopIteration:
        raise TrainingError(f"the batches ended before iteration {run.iteration + 1}") from None
    except (DataError, RuntimeError):  # torch's, when a process that reads images was killed
        if run.losses:  # a step was taken
            for hook in run.hooks:
                hook.on_interrupt(run)
        raise


def _finite(values: Mapping[str, float]) -> bool:
    return all(math.isfinite(value) for value in values.values())


def _failure(run: Run, losses: Mapping[str, float], learning_rate: float, names: str) -> str:
    """The message of losses that are not finite; ``names`` are this process's images if they are to blame."""
    blamed = [each for each in run.ranks.everyones(names) if each]
    notes: Sequence[str] = [note for hook in run.hooks if (note := hook.on_failure(run))]
    notes = run.ranks.once(lambda: notes)
    values = ", ".join(f"{name} {value:.6g}" for name, value in losses.items())
    what = f"iteration {run.iteration + 1}: the loss is not finite ({values}) at learning rate {learning_rate:.6g}"
    where = f"images {', '.join(blamed)}"
    return "; ".join([f"{what}, {where}", *notes, "optimizer.clip_norm, a lower lr or a longer warm-up may help"])


def _stop_if_asked(stop: StopSignals, run: Run) -> None:
    if not run.ranks.any(bool(stop.received)):
        return
    for hook in run.hooks:
        hook.on_interrupt(run)
    run.ranks.doing("")
    # where all wait for the one that saves
    received = next(filter(None, run.ranks.everyones(stop.received)))
    raise Interrupted(f"stopped by {received} after iteration {run.iteration}; --resume continues from there")
