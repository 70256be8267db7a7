"""Starts a run in its folder from a run file and its task."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from resdet.config import config_to_yaml
from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.averaging import moving_average
from resdet.engine.graphs import RecordedGradients, check_recording
from resdet.engine.keep import keep
from resdet.engine.loggers import logger_hook
from resdet.engine.optimizer import build_sgd
from resdet.engine.precision import Precision
from resdet.engine.run import Run
from resdet.engine.run_folder import RunFolder, open_run
from resdet.engine.task import Task
from resdet.engine.train_loop import train
from resdet.errors import ConfigError
from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.training_rows.recorded import record_passes
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.ops.sync_bn import share_batch_norms
from resdet.training.curves import draw_curves
from resdet.training.expected_time import ExpectedTime
from resdet.training.how import ANEW, How
from resdet.training.kernels import choose_kernels, machine_notes
from resdet.training.last_evaluation import LastEvaluation, forget_last_evaluation
from resdet.training.report import write_run_report
from resdet.training.schedule import build_schedule, in_iterations, scaled_rate
from resdet.training.summary import summary

if TYPE_CHECKING:
    from resdet.config.check import RunFile
    from resdet.config.training import RunConfig


_log = logging.getLogger(__name__)


def train_task(config: RunFile, task: Task[Any, Any], device: torch.device, how: How = ANEW) -> Run:
    """Train a task in the run folder of ``config``, from the state in the folder to the end.

    Args:
        config: the result of ``load_config``.
        task: the task, with its model on ``device``.
        device: the device to train on.
        how: whether the run in the folder is continued, with what hooks, and so on.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; files written so far stay.
    """
    with started(config, task, device, how) as run:
        train(run)
        run.finish()
        if how.ranks.first:
            forget_last_evaluation(run.folder)
    if how.ranks.first:
        draw_curves(run.files)
        write_run_report(run.files, config, task)
    return run


@contextlib.contextmanager
def started(config: RunFile, task: Task[Any, Any], device: torch.device, how: How = ANEW) -> Iterator[Run]:
    """A run in its folder, ready to train; the context keeps other processes out. Arguments are those of ``train_task``."""
    ranks = how.ranks
    run = assembled(config, task, device, ranks)
    loggers = logger_hook(config.run.loggers)
    if ranks.world > 1:  # the measurements of one process decide for all
        config = ranks.once(lambda: choose_kernels(config, task.model, device)[0])
    config, run.network = choose_kernels(config, task.model, device)
    run.config, options = config, config.run
    if options.cuda_graphs and isinstance(run.network, FasterRCNN):
        record_parts(run.network, task.model)
    # the folder is opened last, when data and model are known to be good, so that a mistake there leaves no folder behind
    with ranks.entered(open_run(config.output, config_to_yaml(config), how.resume, how.change)) as run.files:
        run.hooks = [*how.hooks, ExpectedTime(), LastEvaluation(), loggers] if ranks.first else list(how.hooks)
        keep(
            run,
            log_every=options.log_every,
            checkpoint_every=options.checkpoint_every,
            eval_every=options.eval_every,
            machine=machine_notes(config),
            best=options.best,
            early_stopping=options.early_stopping,
            accept_data=how.accept_data,
        )
        for line in summary(run, config) if ranks.first else ():
            _log.info("%s", line)
        yield run


def assembled(config: RunFile, task: Task[Any, Any], device: torch.device, ranks: Ranks = ALONE) -> Run:
    """A run put together from its parts, before anything is loaded from its folder; arguments are those of ``train_task``."""
    options, optimizer, model = config.run, config.optimizer, task.model
    if config.schedule.policy == "plateau" and not task.evaluates:
        raise ConfigError("option 'schedule.policy' plateau needs a validation set, 'data.val' has none")
    _check_ranks(options, ranks)
    schedule, rate = in_iterations(config.schedule, task.samples, options.batch), scaled_rate(optimizer, options.batch)
    precision = Precision(options.precision, device)
    if options.channels_last:
        model.to(memory_format=torch.channels_last)
    average = moving_average(model, options.ema) if options.ema else None
    _prepare(model, options)
    if options.sync_bn and ranks.world > 1:
        share_batch_norms(model, ranks)
    if options.cuda_graphs:
        check_recording(device)
    return Run(
        0,
        schedule.iterations,
        task=task,
        network=model,
        optimizer=build_sgd(
            model,
            rate,
            optimizer.momentum,
            optimizer.weight_decay,
            decay_norm_and_bias=optimizer.decay_norm_and_bias,
        ),
        schedule=build_schedule(rate, schedule),
        files=RunFolder(Path(config.output), resumed=False),
        config=config,
        seed=options.seed,
        device=device,
        precision=precision,
        clip_norm=optimizer.clip_norm,
        accumulate=options.accumulate,
        gradients=RecordedGradients() if options.cuda_graphs and not isinstance(model, FasterRCNN) else None,
        average=average,
        ranks=ranks,
    )


def _check_ranks(options: RunConfig, ranks: Ranks) -> None:
    """Raise a ConfigError when a process would have nothing to do, or shapes would differ from step to step."""
    if options.cuda_graphs and ranks.world > 1:
        raise ConfigError(f"option 'run.cuda_graphs' is for one process, there are {ranks.world}")
    if options.batch // options.accumulate < ranks.world:
        parts = f" in 'run.accumulate' {options.accumulate} parts" if options.accumulate > 1 else ""
        raise ConfigError(
            f"option 'run.batch' must have an image for each of {ranks.world} processes, got {options.batch}{parts}"
        )


def _prepare(model: nn.Module, options: RunConfig) -> None:
    """Set what a model's blocks keep for the backward pass, and compile its convolutions if the options ask for it."""
    for part in model.modules():
        if isinstance(part, ResidualBlock):
            part.recompute = options.checkpoint_activations
    if options.compile:
        for part in convolutions(model):
            part.compile()


def record_parts(network: FasterRCNN, model: nn.Module) -> None:
    """Have those parts of a detector that trains replay their passes that ``model``, which is evaluated, has not."""
    shared = set(model.modules())
    for part in convolutions(network):
        if part not in shared:
            record_passes(part)


def convolutions(model: nn.Module) -> tuple[nn.Module, ...]:
    """The parts of a network that are worth compiling, or recording."""
    if isinstance(model, FasterRCNN):
        return model.trunk, model.roi_heads.res5
    if isinstance(model, Classifier):
        return (model.backbone,)
    return (model.body,) if isinstance(model, (PerClassRPN, RegionLocalizer)) else ()
